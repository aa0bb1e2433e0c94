import Foundation

/// Compute units that must not run a tower file on this phone again, kept over restarts.
///
/// A trial is written down before it begins: a unit that takes the whole app down with it is
/// found guilty at the next start.
public final class Quarantine {
    private static let trying = "trying"
    private static let crashed = "took the app down with it"

    private struct Content: Codable {
        var environment: String
        var reasons: [String: String]
    }

    private let path: URL
    private var content: Content

    /// Reads what earlier starts found.
    ///
    /// - Parameters:
    ///   - path: of the file that keeps it.
    ///   - environment: what verdicts depend on (phone, system, version of the app); of another
    ///     one, they are forgotten.
    public init(_ path: URL, environment: String) {
        self.path = path
        // No file yet, or a damaged one: every unit gets a new trial.
        let data = (try? Data(contentsOf: path)) ?? Data()
        let found = try? JSONDecoder().decode(Content.self, from: data)
        let reasons = found?.environment == environment ? found?.reasons ?? [:] : [:]
        content = Content(
            environment: environment,
            reasons: reasons.mapValues { $0 == Quarantine.trying ? Quarantine.crashed : $0 })
    }

    /// Why a unit must not run a file; nil if it may.
    public func reason(_ sha256: String, _ unit: String) -> String? {
        content.reasons[key(sha256, unit)]
    }

    /// Notes that a unit is about to run a file for the first time.
    func begin(_ sha256: String, _ unit: String) throws {
        content.reasons[key(sha256, unit)] = Quarantine.trying
        try write()
    }

    /// Notes that it did well.
    func acquit(_ sha256: String, _ unit: String) throws {
        content.reasons[key(sha256, unit)] = nil
        try write()
    }

    /// Notes that it failed, and why.
    func bar(_ sha256: String, _ unit: String, _ reason: String) throws {
        content.reasons[key(sha256, unit)] = reason
        try write()
    }

    private func key(_ sha256: String, _ unit: String) -> String { sha256 + " " + unit }

    private func write() throws {
        try JSONEncoder().encode(content).write(to: path, options: .atomic)
    }
}
