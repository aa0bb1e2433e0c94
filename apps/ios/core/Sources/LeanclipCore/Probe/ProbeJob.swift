import Foundation

/// What `leanclip probe` asks for: `job.json` beside a folder `bundle`.
struct ProbeJob: Decodable {
    static let fileName = "job.json"
    private static let schemaVersion = 1

    /// Paths of tower files; the others that the manifest names are not there.
    let files: [String]
    let warmUps: Int
    let runs: Int
    /// Nil for no sustained run.
    let sustainedSeconds: Double?

    enum CodingKeys: String, CodingKey {
        case schemaVersion = "schema_version"
        case files
        case warmUps = "warm_ups"
        case runs
        case sustainedSeconds = "sustained_seconds"
    }

    init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        guard try values.decode(Int.self, forKey: .schemaVersion) == ProbeJob.schemaVersion else {
            throw BundleError(
                "job.json is of another version: install the app of this version of leanclip")
        }
        files = try values.decode([String].self, forKey: .files)
        warmUps = try values.decode(Int.self, forKey: .warmUps)
        runs = try values.decode(Int.self, forKey: .runs)
        sustainedSeconds = try values.decodeIfPresent(Double.self, forKey: .sustainedSeconds)
        guard !files.isEmpty else { throw BundleError("job.json names no file to probe") }
    }
}
