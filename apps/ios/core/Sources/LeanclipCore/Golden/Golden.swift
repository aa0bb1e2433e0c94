import Foundation

/// A sentence, its token ids and its embedding.
public struct GoldenSentence: Decodable {
    public let text: String
    public let ids: [Int32]
    public let embedding: [Double]

    enum CodingKeys: String, CodingKey {
        case text
        case ids
        case embedding
    }
}

/// A photo file, the mean colours of its fields and its embedding.
public struct GoldenPhoto: Decodable {
    public let name: String
    /// The file; some carry an EXIF orientation.
    public let jpeg: Data
    /// `grid[row][column]`: mean red, green and blue of a field, 0 to 255.
    public let grid: [[[Double]]]
    public let embedding: [Double]

    enum CodingKeys: String, CodingKey {
        case name
        case jpeg
        case grid
        case embedding
    }
}

/// Computed pixels, which test a tower without a decoder.
public struct GoldenPattern: Decodable {
    public let embedding: [Double]

    enum CodingKeys: String, CodingKey {
        case embedding
    }
}

/// `golden.json`: inputs with the embeddings that PyTorch makes of them.
public struct Golden: Decodable {
    public static let fileName = "golden.json"
    private static let format = 1

    public let sentences: [GoldenSentence]
    public let photos: [GoldenPhoto]
    /// Largest difference of a field's mean colour, of 255.
    public let gridTolerance: Double
    public let pattern: GoldenPattern
    private let minCosine: [String: Double]

    enum CodingKeys: String, CodingKey {
        case format
        case minCosine = "min_cosine"
        case gridTolerance = "grid_tolerance"
        case sentences
        case photos
        case pattern
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let found = try values.decodeIfPresent(Int.self, forKey: .format) ?? Golden.format
        guard found == Golden.format else {
            throw BundleError("golden.json is of another format; update the app")
        }
        minCosine = try values.decode([String: Double].self, forKey: .minCosine)
        gridTolerance = try values.decode(Double.self, forKey: .gridTolerance)
        sentences = try values.decode([GoldenSentence].self, forKey: .sentences)
        photos = try values.decode([GoldenPhoto].self, forKey: .photos)
        pattern = try values.decode(GoldenPattern.self, forKey: .pattern)
        guard !sentences.isEmpty, !photos.isEmpty else {
            throw BundleError("golden.json has no sentence or no photo; export it again")
        }
    }

    /// Reads a bundle's golden file.
    ///
    /// - Throws: `BundleError`: it is missing, damaged or malformed.
    public static func read(_ bundle: ModelBundle) throws -> Golden {
        try readJSON(Golden.self, at: bundle.checkedGolden())
    }

    /// Smallest cosine that a file of a precision may have.
    public func limit(_ precision: String) throws -> Double {
        guard let found = minCosine[precision] else {
            throw BundleError("golden.json has no cosine for \(precision); export it again")
        }
        return found
    }

    /// The pixels of the pattern; RGB `size * size * 3`.
    public static func patternPixels(_ size: Int) -> [UInt8] {
        (0..<(size * size * 3)).map { place in
            let (channel, column, row) = (place % 3, place / 3 % size, place / 3 / size)
            let value = 7 * row + 13 * column + 83 * channel + row * column / 8
            return UInt8(truncatingIfNeeded: value)
        }
    }
}
