/// How a sentence becomes token ids, as `bundle.json` says.
public struct TextSpec: Decodable, Equatable {
    public let vocabularyFile: String
    public let vocabularySha256: String
    public let vocabularySize: Int
    /// Ids that a sentence becomes, padding among them.
    public let contextLength: Int
    public let startId: Int
    public let endId: Int
    public let padId: Int
    public let lowerCase: Bool

    enum CodingKeys: String, CodingKey {
        case kind
        case vocabularyFile = "vocabulary_file"
        case vocabularySha256 = "vocabulary_sha256"
        case vocabularySize = "vocabulary_size"
        case contextLength = "context_length"
        case startId = "start_id"
        case endId = "end_id"
        case padId = "pad_id"
        case lowerCase = "lower_case"
        case cleaning
        case integerType = "integer_type"
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func only(_ known: String, _ key: CodingKeys) throws {
            let found = try values.decodeIfPresent(String.self, forKey: key) ?? known
            guard found == known else {
                throw BundleError(
                    "bundle.json: this app knows only \(known) as text.\(key.rawValue), not \(found)")
            }
        }
        let kind = try values.decodeIfPresent(String.self, forKey: .kind) ?? "bpe"
        guard kind == "bpe" else {
            throw BundleError(
                "bundle.json: sentences are cut into tokens by \(kind), and this app knows only "
                    + "byte pairs (bpe): search with leanclip on a computer, or export a model "
                    + "that has CLIP's tokenizer")
        }
        try only("clip", .cleaning)
        try only("int32", .integerType)
        vocabularyFile =
            try values.decodeIfPresent(String.self, forKey: .vocabularyFile) ?? "merges.txt"
        vocabularySha256 = try values.decode(String.self, forKey: .vocabularySha256)
        vocabularySize = try values.decode(Int.self, forKey: .vocabularySize)
        contextLength = try values.decodeIfPresent(Int.self, forKey: .contextLength) ?? 77
        startId = try values.decode(Int.self, forKey: .startId)
        endId = try values.decode(Int.self, forKey: .endId)
        padId = try values.decodeIfPresent(Int.self, forKey: .padId) ?? 0
        lowerCase = try values.decodeIfPresent(Bool.self, forKey: .lowerCase) ?? true
        guard (4...1024).contains(contextLength) else {
            throw BundleError("bundle.json: a context length of \(contextLength) cannot be")
        }
    }
}
