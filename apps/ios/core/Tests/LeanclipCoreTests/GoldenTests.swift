import Foundation
import XCTest

@testable import LeanclipCore

final class GoldenTests: XCTestCase {
    func testATowerThatAnswersRightPasses() throws {
        let (bundle, runtime, check) = try material()
        for file in bundle.manifest.files {
            let verdict = try check.check(file, runtime.tower)
            XCTAssertEqual(verdict.failures, [])
            XCTAssertTrue(verdict.passed)
            XCTAssertGreaterThan(verdict.worstCosine, 0.999)
        }
    }

    func testWrongVectorsFail() throws {
        let (bundle, runtime, check) = try material()
        let wrong: [([Float]) -> [Float]] = [
            { $0.reversed() }, { $0.map { 1.1 * $0 } }, { Array($0.dropLast()) },
            { $0.map { _ in Float.nan } }, { $0.map { -$0 } },
        ]
        for change in wrong {
            var tower = runtime.tower
            tower.change = change
            let verdict = try check.check(bundle.manifest.files[1], tower)
            XCTAssertFalse(verdict.passed)
            XCTAssertFalse(verdict.failures.isEmpty)
        }
    }

    func testAUnitThatFailsIsQuarantinedAndTheNextOneTaken() throws {
        var (bundle, runtime, check) = try material()
        runtime.changes["ALL"] = { $0.reversed() }
        let path = try Support.folder(self).appendingPathComponent("quarantine.json")
        for failure in ["golden test", "quarantined"] {
            let quarantine = Quarantine(path, environment: "one")
            let choice = try TowerChoice.of(
                .text, in: bundle, runtime: runtime, check: check, quarantine: quarantine)
            XCTAssertEqual(choice.unit, "CPU_ONLY")
            XCTAssertEqual(choice.failures.count, 1)
            XCTAssertTrue(choice.failures[0].contains(failure), choice.failures[0])
        }
        runtime.changes = [:]
        let other = Quarantine(path, environment: "another system")
        let choice = try TowerChoice.of(
            .text, in: bundle, runtime: runtime, check: check, quarantine: other)
        XCTAssertEqual(choice.unit, "ALL")
    }

    func testAUnitThatTookTheAppDownIsFoundGuilty() throws {
        let path = try Support.folder(self).appendingPathComponent("quarantine.json")
        try Quarantine(path, environment: "one").begin("hash", "ALL")
        let reason = Quarantine(path, environment: "one").reason("hash", "ALL")
        XCTAssertEqual(reason, "took the app down with it")
    }

    func testNoUnitLeftIsSaid() throws {
        var (bundle, runtime, check) = try material()
        runtime.broken = ["ALL", "CPU_ONLY"]
        let path = try Support.folder(self).appendingPathComponent("quarantine.json")
        let quarantine = Quarantine(path, environment: "one")
        XCTAssertThrowsError(
            try TowerChoice.of(
                .image, in: bundle, runtime: runtime, check: check, quarantine: quarantine))
    }

    private func material() throws -> (ModelBundle, FakeRuntime, GoldenCheck) {
        let bundle = try Support.bundle(in: Support.folder(self))
        let golden = try Golden.read(bundle)
        let decoder = FakeDecoder(golden: golden, size: bundle.manifest.preprocessing.size)
        let check = try GoldenCheck(bundle, tokenizer: Tokenizer(bundle), decoder: decoder)
        return (bundle, try FakeRuntime.of(bundle), check)
    }
}
