import Foundation
import Photos

/// Where in the library's history the index stands, kept beside it.
struct ChangeToken {
    private let path: URL

    init(_ folder: URL) {
        path = folder.appendingPathComponent("library.token")
    }

    /// Nil before the first whole run.
    func read() -> PHPersistentChangeToken? {
        guard let data = try? Data(contentsOf: path) else { return nil }
        return try? NSKeyedUnarchiver.unarchivedObject(
            ofClass: PHPersistentChangeToken.self, from: data)
    }

    func write(_ token: PHPersistentChangeToken) throws {
        let data = try NSKeyedArchiver.archivedData(
            withRootObject: token, requiringSecureCoding: true)
        try data.write(to: path, options: .atomic)
    }

    /// Makes the next run look at every photo again.
    func forget() {
        try? FileManager.default.removeItem(at: path)
    }
}
