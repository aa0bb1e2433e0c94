/// What `bundle.json` says.
public struct Manifest: Decodable, Equatable {
    /// The newest bundle format that this core reads.
    public static let newestFormat = 1

    public let format: Int
    public let name: String
    public let embeddingDim: Int
    public let files: [TowerFile]
    public let preprocessing: Preprocessing
    public let text: TextSpec
    /// Of `golden.json`; not there in bundles that were written before it was recorded.
    public let goldenSha256: String?
    /// Names the embedding space: vectors of different fingerprints are never compared.
    public let fingerprint: String
    public let licence: String

    enum CodingKeys: String, CodingKey {
        case format
        case name
        case embeddingDim = "embedding_dim"
        case files
        case preprocessing
        case text
        case goldenSha256 = "golden_sha256"
        case fingerprint
        case licence
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        format = try values.decodeIfPresent(Int.self, forKey: .format) ?? Manifest.newestFormat
        // Before anything else: a newer format may spell the rest differently.
        guard format <= Manifest.newestFormat else {
            throw BundleError(
                "bundle.json has format \(format), this app reads up to "
                    + "\(Manifest.newestFormat): update the app")
        }
        name = try values.decode(String.self, forKey: .name)
        embeddingDim = try values.decode(Int.self, forKey: .embeddingDim)
        files = try values.decode([TowerFile].self, forKey: .files)
        preprocessing = try values.decode(Preprocessing.self, forKey: .preprocessing)
        text = try values.decode(TextSpec.self, forKey: .text)
        goldenSha256 = try values.decodeIfPresent(String.self, forKey: .goldenSha256)
        fingerprint = try values.decode(String.self, forKey: .fingerprint)
        licence = try values.decode(String.self, forKey: .licence)
        guard embeddingDim > 0 else {
            throw BundleError("bundle.json: embedding_dim must be positive")
        }
    }
}
