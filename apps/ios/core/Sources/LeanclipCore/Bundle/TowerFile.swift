/// One of the two encoders of a model.
public enum Tower: String, Codable {
    case image, text
}

/// How a tower file is called.
public struct Interface: Decodable, Equatable {
    /// Name of the only input.
    public let input: String
    /// Name of the only output: an embedding of length one.
    public let output: String
    /// `image` (an image object) or `int32` (token ids) in Core ML files.
    public let type: String

    enum CodingKeys: String, CodingKey {
        case input
        case output
        case type
    }
}

/// One tower in one format and precision.
public struct TowerFile: Decodable, Equatable {
    public let tower: Tower
    /// `coreml`, or a format that this app has no runtime for.
    public let format: String
    public let precision: String
    /// Path relative to the bundle; a folder where the format is one.
    public let file: String
    /// Of the file, or of all files of the folder.
    public let sha256: String
    public let bytes: Int
    /// Not there in bundles of ONNX files that were written before it was recorded.
    public let interface: Interface?
    public let recommended: Bool

    enum CodingKeys: String, CodingKey {
        case tower
        case format
        case precision
        case file
        case sha256
        case bytes
        case interface
        case recommended
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        tower = try values.decode(Tower.self, forKey: .tower)
        format = try values.decode(String.self, forKey: .format)
        precision = try values.decode(String.self, forKey: .precision)
        file = try values.decode(String.self, forKey: .file)
        sha256 = try values.decode(String.self, forKey: .sha256)
        bytes = try values.decode(Int.self, forKey: .bytes)
        interface = try values.decodeIfPresent(Interface.self, forKey: .interface)
        recommended = try values.decodeIfPresent(Bool.self, forKey: .recommended) ?? false
    }
}
