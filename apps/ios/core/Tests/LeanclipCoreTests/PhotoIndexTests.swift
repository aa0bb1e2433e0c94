import Foundation
import XCTest

@testable import LeanclipCore

final class PhotoIndexTests: XCTestCase {
    func testHalvesAreRoundedAsNumpyRounds() throws {
        for pair in try Support.fixture("halves", as: [[UInt32]].self) {
            let value = Float(bitPattern: pair[0])
            XCTAssertEqual(Half.code(of: value), UInt16(pair[1]), "\(value)")
        }
        for code in UInt16(0)...0x7C00 {
            XCTAssertEqual(Half.code(of: Half.values[Int(code)]), code)
        }
    }

    func testNearestPhotosOfSeveralBlocks() throws {
        let folder = try Support.folder(self)
        let index = try PhotoIndex(folder: folder, dim: 8)
        let vectors = (0..<5000).map { unit($0) }
        for (place, vector) in vectors.enumerated() {
            index.add("photo \(place)", state: "1", vector: vector)
        }
        try index.commit()
        let query = unit(77_777)
        let found = try index.search(query, top: 5)
        let rounded = vectors.map { $0.map { Half.values[Int(Half.code(of: $0))] } }
        let scores = rounded.map { zip($0, query).reduce(Float(0)) { $0 + $1.0 * $1.1 } }
        for match in found {
            let place = Int(match.photo.dropFirst("photo ".count))!
            XCTAssertEqual(match.score, scores[place], accuracy: 1e-5)
        }
        XCTAssertEqual(found[0].score, scores.max()!, accuracy: 1e-5)
        XCTAssertEqual(found.map { $0.score }, found.map { $0.score }.sorted(by: >))
    }

    func testChangesDeletionsAndReasonsOutliveARestart() throws {
        let folder = try Support.folder(self)
        var index = try PhotoIndex(folder: folder, dim: 8)
        for name in ["a", "b", "c"] { index.add(name, state: "1", vector: unit(1)) }
        index.addUnreadable("bad", state: "1", reason: "damaged:\n\"quoted\"")
        index.add("b", state: "2", vector: unit(2))
        index.remove("c")
        index.remove("nobody")
        try index.commit()
        for _ in 0..<2 {
            XCTAssertEqual(index.count, 2)
            XCTAssertEqual(index.tombstones, 2)
            XCTAssertEqual(index.unreadable, ["bad": "damaged:\n\"quoted\""])
            XCTAssertTrue(index.knows("b", state: "2"))
            XCTAssertFalse(index.knows("b", state: "1"))
            XCTAssertEqual(try index.search(unit(2), top: 9).map { $0.photo }, ["b", "a"])
            index = try PhotoIndex(folder: folder, dim: 8)
        }
    }

    func testWhatWasNotCommittedIsForgotten() throws {
        let folder = try Support.folder(self)
        let index = try PhotoIndex(folder: folder, dim: 8)
        index.add("a", state: "1", vector: unit(1))
        XCTAssertNotNil(try index.vector(of: "a"))
        XCTAssertEqual(try index.search(unit(1), top: 1), [])
        XCTAssertEqual(try PhotoIndex(folder: folder, dim: 8).count, 0)
    }

    func testCompactionKeepsWhatIsLeft() throws {
        let folder = try Support.folder(self)
        let index = try PhotoIndex(folder: folder, dim: 8)
        for place in 0..<600 { index.add("photo \(place)", state: "1", vector: unit(place)) }
        index.addUnreadable("bad", state: "1", reason: "damaged")
        for place in 0..<400 { index.remove("photo \(place)") }
        try index.commit()
        let before = try index.search(unit(500), top: 200)
        try index.compactIfWorthwhile()
        XCTAssertEqual(index.tombstones, 0)
        XCTAssertEqual(try index.search(unit(500), top: 200), before)
        let reopened = try PhotoIndex(folder: folder, dim: 8)
        XCTAssertEqual(try reopened.search(unit(500), top: 200), before)
        XCTAssertEqual(reopened.unreadable, ["bad": "damaged"])
    }

    func testAJournalCutAnywhereKeepsItsWholeLines() throws {
        let folder = try Support.folder(self)
        let index = try PhotoIndex(folder: folder, dim: 8)
        for name in ["a", "b"] {
            index.add(name, state: "1", vector: unit(1))
            try index.commit()
        }
        let journal = folder.appendingPathComponent("generation-0/journal.txt")
        let whole = try Data(contentsOf: journal)
        for length in stride(from: whole.count, through: 0, by: -1) {
            try whole.prefix(length).write(to: journal)
            let reopened = try PhotoIndex(folder: folder, dim: 8)
            XCTAssertLessThanOrEqual(reopened.count, 2)
            reopened.add("again", state: "1", vector: unit(3))
            try reopened.commit()
            let nearest = try PhotoIndex(folder: folder, dim: 8).search(unit(3), top: 1)
            XCTAssertEqual(nearest.map { $0.photo }, ["again"])
        }
    }

    /// A vector of length one that depends on a number.
    private func unit(_ seed: Int) -> [Float] {
        var state = UInt32(seed &+ 1)
        let values = (0..<8).map { _ -> Float in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 23) - 1
        }
        let length = values.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
        return values.map { $0 / length }
    }
}
