import Foundation
import Photos

/// One run that brings the index up to date with the library.
struct Indexing {
    /// How far a run is, or why it waits.
    struct Progress: Equatable {
        var done = 0
        var total = 0
        /// In iCloud only; looked at again in the next run.
        var elsewhere = 0
        var waiting: String?
    }

    private static let photosACommit = 16
    private static let pause: UInt64 = 5_000_000_000

    let engine: Engine
    /// Asked again and again, since the user may change it during a run.
    let overridden: @MainActor () -> Bool
    let fetching: @MainActor () -> Bool
    let report: @MainActor (Progress) -> Void

    /// Indexes what is new or changed and drops what is gone.
    ///
    /// A run that is cancelled keeps what it did; the next one does the rest.
    func run() async throws {
        let token = ChangeToken(engine.folder)
        let changes = PhotoLibrary.changes(since: token.read())
        if let present = changes.present { await engine.keepOnly(present) }
        await engine.remove(changes.removed)
        var waiting: [PHAsset] = []
        for asset in changes.assets {
            let state = PhotoLibrary.state(asset)
            if await !engine.knows(asset.localIdentifier, state: state) { waiting.append(asset) }
        }
        var progress = Progress(total: waiting.count)
        for asset in waiting {
            try await spareThePhone(&progress)
            if try await !index(asset) { progress.elsewhere += 1 }
            progress.done += 1
            if progress.done % Indexing.photosACommit == 0 { try await engine.commit() }
            await report(progress)
        }
        try await engine.commit()
        try await engine.compact()
        // Photos in iCloud must come up again, and no change will name them.
        if progress.elsewhere == 0 && PhotoLibrary.seesAll {
            try token.write(changes.token)
        } else {
            token.forget()
        }
    }

    /// Waits while the phone is hot or short of power.
    private func spareThePhone(_ progress: inout Progress) async throws {
        try Task.checkCancellation()
        while let reason = Conditions.reasonToWait(overridden: await overridden()) {
            // A pause may be long, and the app may be ended in it.
            try await engine.commit()
            progress.waiting = reason
            await report(progress)
            try await Task.sleep(nanoseconds: Indexing.pause)
        }
        progress.waiting = nil
    }

    /// False if the photo is not on this phone.
    private func index(_ asset: PHAsset) async throws -> Bool {
        guard let file = PhotoLibrary.file(asset, fetching: await fetching()) else { return false }
        await engine.add(
            asset.localIdentifier, state: PhotoLibrary.state(asset), file: file)
        return true
    }
}
