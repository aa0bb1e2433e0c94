import Foundation

/// Folders of which the newest whole one counts; a new one appears by renaming, or not at all.
struct Generations {
    private static let prefix = "generation-"
    private static let unfinished = ".unfinished"

    private let folder: URL
    private var newest = 0

    /// Finds the newest, makes it where there is none, and drops older and unfinished ones.
    init(_ folder: URL) throws {
        self.folder = folder
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        newest = names().compactMap { name in
            name.hasPrefix(Generations.prefix) ? Int(name.dropFirst(Generations.prefix.count)) : nil
        }.max() ?? 0
        try FileManager.default.createDirectory(at: current, withIntermediateDirectories: true)
        dropOthers()
    }

    var current: URL { folder.appendingPathComponent(name(newest)) }

    /// An empty folder for the next generation.
    func begin() throws -> URL {
        let next = folder.appendingPathComponent(name(newest + 1) + Generations.unfinished)
        try? FileManager.default.removeItem(at: next)
        try FileManager.default.createDirectory(at: next, withIntermediateDirectories: true)
        return next
    }

    /// Makes what `begin` returned the current generation.
    mutating func finish(_ next: URL) throws {
        let target = folder.appendingPathComponent(name(newest + 1))
        try FileManager.default.moveItem(at: next, to: target)
        newest += 1
        dropOthers()
    }

    private func dropOthers() {
        for other in names() where other.hasPrefix(Generations.prefix) && other != name(newest) {
            // What cannot be deleted now is tried again at the next start.
            try? FileManager.default.removeItem(at: folder.appendingPathComponent(other))
        }
    }

    private func names() -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    }

    private func name(_ number: Int) -> String {
        Generations.prefix + String(number)
    }
}
