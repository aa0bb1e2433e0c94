import Foundation
import LeanclipCore
import SwiftUI

/// What the screens show: the model, the run of indexing, and what was found.
@MainActor
final class Session: ObservableObject {
    /// How many photos a search shows.
    private static let top = 200

    @Published private(set) var engine: Engine?
    @Published private(set) var progress: Indexing.Progress?
    @Published private(set) var matches: [Match] = []
    @Published private(set) var count = 0
    @Published private(set) var unreadable: [String: String] = [:]
    /// One line for the user.
    @Published var message: String?
    /// Index also where the phone is hot or in Low Power Mode.
    @AppStorage("index.overridden") var overridden = false
    /// Fetch photos that lie in iCloud only.
    @AppStorage("index.fetching") var fetching = false

    private var indexing: Task<Void, Never>?

    var isIndexing: Bool { progress != nil }

    /// Loads and tests the model, then brings the index up to date.
    func open() async {
        guard engine == nil else { return }
        do {
            let opened = try await Task.detached(priority: .userInitiated) { try Engine() }.value
            engine = opened
            await refresh()
            index()
        } catch {
            message = oneLine(error)
        }
    }

    /// Starts a run of indexing unless one is going on.
    func index() {
        guard let engine = engine, indexing == nil else { return }
        indexing = Task {
            await run(engine)
            progress = nil
            indexing = nil
            await refresh()
        }
    }

    /// Lets the run end after the photo at hand; what it indexed stays.
    func stopIndexing() {
        indexing?.cancel()
    }

    func search(_ sentence: String) async {
        let words = sentence.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !words.isEmpty else {
            matches = []
            return
        }
        await show { try await $0.search(words, top: Session.top) }
    }

    func search(photo file: Data) async {
        await show { try await $0.search(photo: file, top: Session.top) }
    }

    func similar(to photo: String) async {
        await show { try await $0.similar(to: photo, top: Session.top) }
    }

    private func show(_ find: (Engine) async throws -> [Match]) async {
        guard let engine = engine else { return }
        do {
            matches = try await find(engine)
        } catch {
            message = oneLine(error)
        }
    }

    private func run(_ engine: Engine) async {
        guard await PhotoLibrary.mayRead() else {
            message = "Allow access to your photos in Settings, then index them from the menu."
            return
        }
        progress = Indexing.Progress()
        let indexing = Indexing(
            engine: engine, overridden: { self.overridden }, fetching: { self.fetching },
            report: { self.progress = $0 })
        do {
            // Reading photos waits for files, which must not hold up the screen.
            let task = Task.detached(priority: .utility) { try await indexing.run() }
            try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
        } catch is CancellationError {
            try? await engine.commit()
        } catch {
            message = oneLine(error)
        }
    }

    private func refresh() async {
        guard let engine = engine else { return }
        count = await engine.count
        unreadable = await engine.unreadable
    }
}
