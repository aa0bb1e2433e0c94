import Foundation
import XCTest

@testable import LeanclipCore

/// Files that the tests read, and folders that they write.
enum Support {
    /// The default bundle of the repository in which these sources lie.
    static let defaultBundle = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("data/default")

    /// What `tests/e2e/ios/ios_fixtures.py` wrote.
    static func fixture<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
        let found = Bundle.module.url(
            forResource: name, withExtension: "json", subdirectory: "Fixtures")
        return try JSONDecoder().decode(type, from: Data(contentsOf: XCTUnwrap(found)))
    }

    static func bundle() throws -> ModelBundle {
        try ModelBundle(folder: defaultBundle)
    }

    /// A folder that is removed when the test ends.
    static func folder(_ test: XCTestCase) throws -> URL {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("leanclip-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        test.addTeardownBlock { try? FileManager.default.removeItem(at: folder) }
        return folder
    }

    /// A small bundle whose manifest is changed; tower files are texts.
    static func bundle(
        in folder: URL, change: (inout [String: Any]) -> Void = { _ in }
    ) throws -> ModelBundle {
        let manifest = try Data(contentsOf: defaultBundle.appendingPathComponent("bundle.json"))
        var values = try XCTUnwrap(
            JSONSerialization.jsonObject(with: manifest) as? [String: Any])
        for name in ["golden.json", "merges.txt"] {
            try FileManager.default.copyItem(
                at: defaultBundle.appendingPathComponent(name),
                to: folder.appendingPathComponent(name))
        }
        values["files"] = ["image", "text"].map { tower -> [String: Any] in
            let content = Data(tower.utf8)
            try? content.write(to: folder.appendingPathComponent(tower))
            return [
                "tower": tower, "format": "coreml", "precision": "fp16", "file": tower,
                "sha256": sha256(content), "bytes": content.count,
            ]
        }
        change(&values)
        try JSONSerialization.data(withJSONObject: values)
            .write(to: folder.appendingPathComponent("bundle.json"))
        return try ModelBundle(folder: folder)
    }
}
