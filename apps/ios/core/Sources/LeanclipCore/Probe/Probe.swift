import Foundation

/// What a probe asks the phone that it runs on.
public protocol ProbedPhone {
    var device: Device { get }
    var system: Versioned { get }
    var runtime: Versioned { get }
    /// `nominal`, `fair`, `serious` or `critical`; nil where the system does not tell.
    var thermal: String? { get }
    /// Largest memory of this process so far, in bytes; nil where the system does not tell.
    var peakMemory: Int? { get }
}

/// Loads, checks and times tower files; no latency is told of one that failed its check.
public struct Probe {
    private let folder: ProbeFolder
    private let phone: ProbedPhone
    private let runtime: TowerRuntime
    private let decoder: (Preprocessing) -> PhotoDecoding

    /// - Parameter decoder: makes what reads the golden photos.
    public init(
        _ folder: ProbeFolder, phone: ProbedPhone, runtime: TowerRuntime,
        decoder: @escaping (Preprocessing) -> PhotoDecoding
    ) {
        self.folder = folder
        self.phone = phone
        self.runtime = runtime
        self.decoder = decoder
    }

    /// Makes the probe and leaves its answer where `leanclip probe` looks for it.
    ///
    /// - Parameters:
    ///   - version: of the app.
    ///   - progress: told what is being done.
    /// - Throws: not even why there is no result could be written.
    public func run(version: String, progress: (String) -> Void) throws {
        folder.removeOthers()
        do {
            try folder.answer(result(version, progress))
        } catch {
            try folder.giveUp(error)
        }
    }

    private func result(_ version: String, _ progress: (String) -> Void) throws -> ProbeResult {
        let job = try folder.job()
        let bundle = try ModelBundle(folder: folder.bundle)
        let check = try GoldenCheck(
            bundle, tokenizer: Tokenizer(bundle), decoder: decoder(bundle.manifest.preprocessing))
        let run = ProbeRun(job: job, bundle: bundle, check: check, phone: phone, runtime: runtime)
        var files: [FileResult] = []
        for name in job.files {
            guard let file = bundle.manifest.files.first(where: { $0.file == name }) else {
                throw BundleError("job.json asks for \(name), which its bundle does not name")
            }
            progress(name)
            files.append(run.result(file))
        }
        let manifest = bundle.manifest
        return ProbeResult(
            leanclip: version, timestamp: ISO8601DateFormatter().string(from: Date()),
            device: phone.device, system: phone.system,
            bundle: ProbedBundle(name: manifest.name, fingerprint: manifest.fingerprint),
            files: files)
    }
}
