import Foundation
import XCTest

@testable import LeanclipCore

final class ProbeTests: XCTestCase {
    private struct Figures: Decodable {
        let milliseconds: [Double]
        let starts: [Double]
    }

    func testFiguresAreThoseOfPython() throws {
        let fixture = try Support.fixture("figures", as: Figures.self)
        let timing = try Timing(
            fixture.milliseconds, warmUps: 10, coldLoad: 31.25, warmLoad: 12.5,
            firstInference: 4.75)
        let calls = zip(fixture.starts, fixture.milliseconds).map {
            (start: $0, milliseconds: $1)
        }
        try assertNear(timing, "timing")
        try assertNear(SustainedRun(calls), "sustained")
    }

    func testTooFewRunsAreRefused() {
        let few = [Double](repeating: 1, count: 49)
        XCTAssertThrowsError(
            try Timing(few, warmUps: 10, coldLoad: 1, warmLoad: 1, firstInference: 1))
    }

    func testAProbeAnswersAndCleansUp() throws {
        let (documents, bundle) = try staged(files: ["image", "text"], sustained: 0.05)
        let older = documents.appendingPathComponent("probe/leanclip-probe-old/bundle")
        try FileManager.default.createDirectory(at: older, withIntermediateDirectories: true)
        var runtime = try FakeRuntime.of(bundle)
        runtime.changes["ALL"] = { $0.reversed() }
        let result = try answer(documents, runtime)
        // For whoever wants to read it with `leanclip probe`'s own code.
        if let kept = ProcessInfo.processInfo.environment["LEANCLIP_PROBE_RESULT"] {
            let path = documents.appendingPathComponent("probe/leanclip-probe-1/result.json")
            try Data(contentsOf: path).write(to: URL(fileURLWithPath: kept))
        }
        let files = try XCTUnwrap(result["files"] as? [[String: Any]])
        XCTAssertEqual(files.count, 2)
        for file in files {
            XCTAssertEqual(file["delegate"] as? String, "CPU_ONLY")
            XCTAssertTrue(file["threads"] is NSNull)
            let timing = try XCTUnwrap(file["timing"] as? [String: Any])
            XCTAssertEqual(timing["runs"] as? Int, 50)
            XCTAssertNotNil(file["sustained"] as? [String: Any])
            XCTAssertTrue(file["reason"] is NSNull)
        }
        let left = try FileManager.default.contentsOfDirectory(
            atPath: documents.appendingPathComponent("probe").path)
        XCTAssertEqual(left, ["leanclip-probe-1"])
        let bundlePath = documents.appendingPathComponent("probe/leanclip-probe-1/bundle").path
        XCTAssertFalse(FileManager.default.fileExists(atPath: bundlePath))
    }

    func testNoLatencyWithoutAPassingGoldenCheck() throws {
        let (documents, bundle) = try staged(files: ["text"], sustained: nil)
        var runtime = try FakeRuntime.of(bundle)
        for unit in runtime.units { runtime.changes[unit] = { $0.map { _ in Float.nan } } }
        let result = try answer(documents, runtime)
        let file = try XCTUnwrap((result["files"] as? [[String: Any]])?.first)
        XCTAssertTrue(file["timing"] is NSNull)
        let golden = try XCTUnwrap(file["golden"] as? [String: Any])
        XCTAssertEqual(golden["passed"] as? Bool, false)
        XCTAssertTrue(golden["worst_cosine"] is NSNull)
        XCTAssertTrue((file["reason"] as? String ?? "").contains("golden check failed"))
    }

    func testWhereThereCanBeNoResultOneSentenceSaysWhy() throws {
        let (documents, bundle) = try staged(files: ["nothing"], sustained: nil)
        let runtime = try FakeRuntime.of(bundle)
        XCTAssertThrowsError(try answer(documents, runtime))
        let failure = documents.appendingPathComponent("probe/leanclip-probe-1/failure.txt")
        let said = try String(contentsOf: failure, encoding: .utf8)
        XCTAssertTrue(said.contains("nothing"), said)
    }

    func testOnlyNamesOfProbesAreTaken() throws {
        let documents = try Support.folder(self)
        for name in ["../x", "", "leanclip-probe-1/../../x", "photos"] {
            XCTAssertThrowsError(try ProbeFolder(documents: documents, run: name))
        }
        let arguments = ["app", "--probe-run", "leanclip-probe-1"]
        XCTAssertEqual(ProbeFolder.run(in: arguments), "leanclip-probe-1")
        XCTAssertNil(ProbeFolder.run(in: ["app", "--probe-run"]))
    }

    private func staged(files: [String], sustained: Double?) throws -> (URL, ModelBundle) {
        let documents = try Support.folder(self)
        let run = documents.appendingPathComponent("probe/leanclip-probe-1")
        let folder = run.appendingPathComponent("bundle")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let job: [String: Any] = [
            "schema_version": 1, "run": "leanclip-probe-1", "files": files, "threads": 1,
            "warm_ups": 10, "runs": 50, "sustained_seconds": sustained ?? NSNull(),
        ]
        try JSONSerialization.data(withJSONObject: job)
            .write(to: run.appendingPathComponent("job.json"))
        return (documents, try Support.bundle(in: folder))
    }

    private func answer(_ documents: URL, _ runtime: FakeRuntime) throws -> [String: Any] {
        let folder = try ProbeFolder(documents: documents, run: "leanclip-probe-1")
        let golden = runtime.tower.golden
        let probe = Probe(folder, phone: FakePhone(), runtime: runtime) {
            FakeDecoder(golden: golden, size: $0.size)
        }
        try probe.run(version: "0.0.0") { _ in }
        let path = documents.appendingPathComponent("probe/leanclip-probe-1/result.json")
        // Outside of XCTUnwrap, which would count a missing result as a failure by itself.
        let data = try Data(contentsOf: path)
        return try XCTUnwrap(JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    /// Compares what is encoded with an object of the fixture, number by number.
    private func assertNear<Value: Encodable>(_ value: Value, _ key: String) throws {
        let found = try JSONSerialization.jsonObject(with: JSONEncoder().encode(value))
        let fixture = try Support.fixture("figures", as: [String: Loose].self)
        let expected = try XCTUnwrap(fixture[key]).value
        assertSame(found, expected, key)
    }

    private func assertSame(_ found: Any, _ expected: Any, _ place: String) {
        if let right = expected as? [String: Any], let got = found as? [String: Any] {
            XCTAssertEqual(Set(got.keys), Set(right.keys), place)
            for (key, value) in right { assertSame(got[key] as Any, value, "\(place).\(key)") }
        } else if let right = expected as? [Any], let got = found as? [Any] {
            XCTAssertEqual(got.count, right.count, place)
            for (one, other) in zip(got, right) { assertSame(one, other, place) }
        } else {
            let numbers = [found, expected].map { ($0 as? NSNumber)?.doubleValue ?? .nan }
            XCTAssertEqual(numbers[0], numbers[1], accuracy: 1e-3, place)
        }
    }
}

/// JSON of any shape.
private struct Loose: Decodable {
    let value: Any

    init(from decoder: Decoder) throws {
        if let object = try? decoder.singleValueContainer().decode([String: Loose].self) {
            value = object.mapValues { $0.value }
        } else if let list = try? decoder.singleValueContainer().decode([Loose].self) {
            value = list.map { $0.value }
        } else {
            value = NSNumber(value: try decoder.singleValueContainer().decode(Double.self))
        }
    }
}
