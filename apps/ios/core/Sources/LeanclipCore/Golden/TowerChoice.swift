import Foundation

/// What loads tower files of one format.
public protocol TowerRuntime {
    var format: String { get }
    /// Compute units, the most wanted first; the last one is never quarantined, since there is
    /// nothing else to fall back to.
    var units: [String] { get }

    func load(_ file: TowerFile, at path: URL, unit: String) throws -> LoadedTower
}

/// The first tower file and compute unit that pass the golden test, best candidates first.
public struct TowerChoice {
    public let file: TowerFile
    public let unit: String
    public let tower: LoadedTower
    public let verdict: GoldenVerdict
    /// What was tried before and failed, one line each.
    public let failures: [String]

    /// Tries candidates until one passes.
    ///
    /// - Throws: `BundleError`: a file is damaged, or none passed.
    public static func of(
        _ tower: Tower, in bundle: ModelBundle, runtime: TowerRuntime, check: GoldenCheck,
        quarantine: Quarantine
    ) throws -> TowerChoice {
        var failures: [String] = []
        for file in try bundle.candidates(tower, format: runtime.format) {
            let path = try bundle.checked(file)
            for unit in runtime.units {
                let place = "\(file.file) on \(unit)"
                if unit != runtime.units.last,
                    let barred = quarantine.reason(file.sha256, unit)
                {
                    failures.append("\(place) is quarantined: \(barred)")
                    continue
                }
                try quarantine.begin(file.sha256, unit)
                do {
                    let loaded = try runtime.load(file, at: path, unit: unit)
                    let verdict = try check.check(file, loaded)
                    guard verdict.passed else {
                        throw BundleError("golden test: \(verdict.failures[0])")
                    }
                    try quarantine.acquit(file.sha256, unit)
                    return TowerChoice(
                        file: file, unit: unit, tower: loaded, verdict: verdict,
                        failures: failures)
                } catch {
                    try quarantine.bar(file.sha256, unit, oneLine(error))
                    failures.append("\(place): \(oneLine(error))")
                }
            }
        }
        throw BundleError(
            "no \(tower.rawValue) tower of \(bundle.manifest.name) passes its golden test here; "
                + "the last failure: \(failures[failures.count - 1])")
    }
}
