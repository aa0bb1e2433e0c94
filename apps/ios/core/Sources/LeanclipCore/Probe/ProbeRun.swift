import Dispatch
import Foundation

/// The probing of one job's files, each on the first compute unit that passes its golden check.
struct ProbeRun {
    let job: ProbeJob
    let bundle: ModelBundle
    let check: GoldenCheck
    let phone: ProbedPhone
    let runtime: TowerRuntime

    func result(_ file: TowerFile) -> FileResult {
        var result = FileResult(
            tower: file.tower, format: file.format, precision: file.precision, file: file.file,
            sha256: file.sha256, runtime: phone.runtime, delegate: runtime.units[0],
            thermalBefore: phone.thermal)
        do {
            let path = try bundle.checked(file)
            guard file.format == runtime.format else {
                throw BundleError("this app runs \(runtime.format) files only")
            }
            try measure(file, path, &result)
        } catch {
            result.timing = nil
            result.sustained = nil
            result.reason = "\(file.file) cannot be run: \(oneLine(error))"
        }
        result.thermalAfter = phone.thermal
        return result
    }

    private func measure(_ file: TowerFile, _ path: URL, _ result: inout FileResult) throws {
        for unit in runtime.units {
            result.delegate = unit
            let began = now()
            let tower = try runtime.load(file, at: path, unit: unit)
            let cold = since(began)
            let input = check.example(file.tower)
            let first = try call(tower, input)
            let verdict = try check.check(file, tower)
            result.golden = verdict
            guard verdict.passed else { continue }
            try time(file, path, tower, input, (cold, first), &result)
            return
        }
        let what = result.golden?.failures.first ?? "no compute unit"
        result.reason =
            "no latency, since its golden check failed (\(what)); export it again"
    }

    private func time(
        _ file: TowerFile, _ path: URL, _ tower: LoadedTower, _ input: TowerInput,
        _ start: (cold: Double, first: Double), _ result: inout FileResult
    ) throws {
        for _ in 0..<job.warmUps { _ = try call(tower, input) }
        let milliseconds = try (0..<job.runs).map { _ in try call(tower, input) }
        let sustained = try sustained(tower, input)
        // One file alone: of several, the peak could be another's.
        result.peakMemory = job.files.count == 1 ? phone.peakMemory : nil
        let began = now()
        _ = try runtime.load(file, at: path, unit: result.delegate)
        result.timing = try Timing(
            milliseconds, warmUps: job.warmUps, coldLoad: start.cold, warmLoad: since(began),
            firstInference: start.first)
        result.sustained = sustained
    }

    private func sustained(_ tower: LoadedTower, _ input: TowerInput) throws -> SustainedRun? {
        guard let seconds = job.sustainedSeconds, seconds > 0 else { return nil }
        var calls: [(start: Double, milliseconds: Double)] = []
        let began = now()
        repeat {
            calls.append((since(began) / 1e3, try call(tower, input)))
        } while since(began) / 1e3 < seconds
        return SustainedRun(calls)
    }

    private func call(_ tower: LoadedTower, _ input: TowerInput) throws -> Double {
        let began = now()
        _ = try tower.run(input)
        return since(began)
    }

    private func now() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

    private func since(_ began: UInt64) -> Double { Double(now() - began) / 1e6 }
}
