import Foundation

/// Where `leanclip probe` puts its jobs and looks for answers: `Documents/probe` of the app.
public struct ProbeFolder {
    /// Followed, on the command line, by the name of a run.
    public static let argument = "--probe-run"

    private let run: URL

    /// - Parameters:
    ///   - documents: the app's folder of documents.
    ///   - name: of the run.
    /// - Throws: `BundleError`: the name is none that `leanclip probe` gives.
    public init(documents: URL, run name: String) throws {
        let known = name.hasPrefix("leanclip-probe-") && !name.contains("/")
        guard known else { throw BundleError("\(name) is not the name of a probe") }
        run = documents.appendingPathComponent("probe").appendingPathComponent(name)
    }

    /// The run that a command line asks for; nil if it asks for none.
    public static func run(in arguments: [String]) -> String? {
        guard let place = arguments.firstIndex(of: argument), place + 1 < arguments.count else {
            return nil
        }
        return arguments[place + 1]
    }

    var bundle: URL { run.appendingPathComponent("bundle") }

    func job() throws -> ProbeJob {
        try readJSON(ProbeJob.self, at: run.appendingPathComponent(ProbeJob.fileName))
    }

    /// Removes all runs but this one: devicectl cannot.
    func removeOthers() {
        let all = run.deletingLastPathComponent()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: all.path)) ?? []
        for name in names where name != run.lastPathComponent {
            try? FileManager.default.removeItem(at: all.appendingPathComponent(name))
        }
    }

    /// Writes the answer, whole or not at all, and then removes the bundle.
    func answer(_ result: ProbeResult) throws {
        try write(JSONEncoder().encode(result), to: "result.json")
        try? FileManager.default.removeItem(at: bundle)
    }

    /// Says why there is no answer, in one sentence.
    func giveUp(_ error: Error) throws {
        try write(Data((oneLine(error) + "\n").utf8), to: "failure.txt")
        try? FileManager.default.removeItem(at: bundle)
    }

    private func write(_ data: Data, to name: String) throws {
        try FileManager.default.createDirectory(at: run, withIntermediateDirectories: true)
        let temporary = run.appendingPathComponent(".\(name).unfinished")
        let target = run.appendingPathComponent(name)
        try data.write(to: temporary)
        try? FileManager.default.removeItem(at: target)
        try FileManager.default.moveItem(at: temporary, to: target)
    }
}
