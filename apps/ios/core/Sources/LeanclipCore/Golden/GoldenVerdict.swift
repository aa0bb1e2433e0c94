import Foundation

/// How near a tower's embeddings are to PyTorch's, on all golden inputs; `golden` of a probe.
public struct GoldenVerdict: Encodable {
    private static let lengthTolerance = 1e-3

    /// Smallest cosine to the expected embeddings; NaN where one cannot be compared.
    public private(set) var worstCosine = Double.infinity
    public let leastCosine: Double
    /// A sentence for each input that missed its tolerance.
    public private(set) var failures: [String] = []

    enum CodingKeys: String, CodingKey {
        case worstCosine = "worst_cosine"
        case leastCosine = "least_cosine"
        case passed
        case failures
    }

    init(leastCosine: Double) {
        self.leastCosine = leastCosine
    }

    public var passed: Bool { failures.isEmpty && worstCosine >= leastCosine }

    mutating func fail(_ sentence: String) {
        failures.append(sentence)
    }

    /// Takes an embedding into account.
    mutating func compare(_ name: String, _ found: [Float], _ expected: [Double]) {
        let cosine = GoldenVerdict.cosine(found, expected)
        // Once it is NaN, it stays so: an embedding that cannot be compared is the worst.
        if worstCosine.isNaN || cosine.isNaN {
            worstCosine = .nan
        } else {
            worstCosine = min(worstCosine, cosine)
        }
        if !(cosine >= leastCosine) {
            fail(
                "\(name): cosine \(String(format: "%.5f", cosine)), at least \(leastCosine) expected"
            )
        }
    }

    public func encode(to encoder: Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        if worstCosine.isFinite {
            try values.encode(worstCosine, forKey: .worstCosine)
        } else {
            try values.encodeNil(forKey: .worstCosine)
        }
        try values.encode(leastCosine, forKey: .leastCosine)
        try values.encode(passed, forKey: .passed)
        try values.encode(failures, forKey: .failures)
    }

    /// NaN for an embedding of another size, or whose length is not one.
    private static func cosine(_ found: [Float], _ expected: [Double]) -> Double {
        guard found.count == expected.count else { return .nan }
        var (product, length, expectedLength) = (0.0, 0.0, 0.0)
        for (one, other) in zip(found, expected) {
            product += Double(one) * other
            length += Double(one) * Double(one)
            expectedLength += other * other
        }
        let isUnit = abs(length.squareRoot() - 1) <= lengthTolerance
        return isUnit ? product / expectedLength.squareRoot() : .nan
    }
}
