import Foundation
import XCTest

@testable import LeanclipCore

final class BundleTests: XCTestCase {
    private struct Folder: Decodable {
        let files: [String: String]
        let sha256: String
    }

    func testAFolderHasTheHashThatPythonGivesIt() throws {
        let fixture = try Support.fixture("folder", as: Folder.self)
        let folder = try Support.folder(self)
        for (name, content) in fixture.files {
            let path = folder.appendingPathComponent(name)
            try FileManager.default.createDirectory(
                at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(content.utf8).write(to: path)
        }
        XCTAssertEqual(try sha256OfPath(folder), fixture.sha256)
    }

    func testKnownHashes() {
        XCTAssertEqual(
            sha256(Data("abc".utf8)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        XCTAssertEqual(
            sha256(Data()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    }

    func testTheDefaultBundleIsRead() throws {
        let manifest = try Support.bundle().manifest
        XCTAssertEqual(manifest.files.map { $0.tower }, [.image, .text])
        XCTAssertEqual(manifest.preprocessing.resizeMode, .squash)
        XCTAssertEqual(manifest.text.endId, manifest.text.vocabularySize - 1)
    }

    func testTheRecommendedFileComesFirstThenTheSmallest() throws {
        let bundle = try Support.bundle(in: Support.folder(self)) { values in
            let one = (values["files"] as! [[String: Any]])[0]
            values["files"] = [("large", 30, false), ("small", 10, false), ("best", 20, true)]
                .map { name, bytes, recommended in
                    one.merging(["file": name, "bytes": bytes, "recommended": recommended]) {
                        $1
                    }
                }
        }
        let files = try bundle.candidates(.image, format: "coreml").map { $0.file }
        XCTAssertEqual(files, ["best", "small", "large"])
        assertRefused("no litert file") { _ = try bundle.candidates(.image, format: "litert") }
    }

    func testWhatCannotBeReadIsRefusedInOneLine() throws {
        assertRefused("update the app") { try self.read { $0["format"] = 2 } }
        assertRefused("fingerprint is missing") { try self.read { $0["fingerprint"] = nil } }
        assertRefused("embedding_dim") { try self.read { $0["embedding_dim"] = "many" } }
        let foreign = [
            ("kind", "sentencepiece", "by sentencepiece, and this app knows only byte pairs"),
            ("cleaning", "canonical", "not canonical"),
        ]
        for (key, value, words) in foreign {
            assertRefused(words) {
                try self.read { values in
                    var text = values["text"] as! [String: Any]
                    text[key] = value
                    values["text"] = text
                }
            }
        }
    }

    func testADamagedMissingOrForeignFileIsRefused() throws {
        let bundle = try Support.bundle(in: Support.folder(self))
        let file = bundle.manifest.files[0]
        XCTAssertNoThrow(try bundle.checked(file))
        try Data("imagE".utf8).write(to: bundle.folder.appendingPathComponent("image"))
        assertRefused("damaged") { _ = try bundle.checked(file) }
        try FileManager.default.removeItem(at: bundle.folder.appendingPathComponent("image"))
        assertRefused("missing") { _ = try bundle.checked(file) }
        let foreign = try Support.bundle(in: Support.folder(self)) { values in
            var files = values["files"] as! [[String: Any]]
            files[0]["file"] = "../image"
            values["files"] = files
        }
        assertRefused("outside") { _ = try foreign.checked(foreign.manifest.files[0]) }
    }

    func testAChangedGoldenFileIsRefusedWhereItsHashIsKnown() throws {
        let known = try Support.bundle(in: Support.folder(self))
        XCTAssertNoThrow(try Golden.read(known))
        let old = try Support.bundle(in: Support.folder(self)) { $0["golden_sha256"] = nil }
        for bundle in [known, old] {
            let path = bundle.folder.appendingPathComponent(Golden.fileName)
            try (Data(contentsOf: path) + Data(" ".utf8)).write(to: path)
        }
        assertRefused("golden.json is damaged") { _ = try Golden.read(known) }
        XCTAssertNoThrow(try Golden.read(old))
    }

    private func read(_ change: @escaping (inout [String: Any]) -> Void) throws {
        _ = try Support.bundle(in: Support.folder(self), change: change)
    }

    private func assertRefused(_ words: String, _ body: () throws -> Void) {
        XCTAssertThrowsError(try body()) { error in
            let line = (error as? BundleError)?.message ?? "no BundleError"
            XCTAssertTrue(line.contains(words), line)
            XCTAssertFalse(line.contains("\n"))
        }
    }
}
