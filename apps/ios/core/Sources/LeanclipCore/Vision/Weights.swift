/// Which pixels of one side a pixel of the result is made of, and their weights in fixed point.
struct Weights {
    /// Fractional bits of a weight: as many as leave room for eight bits and sums.
    static let bits: Int32 = 22

    /// First pixel for each one of the result.
    let first: [Int]
    /// Weights from there on.
    let weights: [[Int32]]

    /// - Parameters:
    ///   - size: pixels of the side.
    ///   - from: where the part that is resized begins; fractions count.
    ///   - to: where it ends.
    ///   - target: pixels of the result.
    init(size: Int, from: Float, to: Float, target: Int, filter: Filter) {
        let scale = Double(to - from) / Double(target)
        let widened = max(scale, 1)
        let support = filter.support * widened
        var first: [Int] = []
        var weights: [[Int32]] = []
        for place in 0..<target {
            let centre = Double(from) + (Double(place) + 0.5) * scale
            let begin = max(0, Int(centre - support + 0.5))
            let end = min(size, Int(centre + support + 0.5))
            let exact = (begin..<end).map {
                filter.at((Double($0) - centre + 0.5) * (1 / widened))
            }
            first.append(begin)
            weights.append(Weights.fixed(exact))
        }
        self.first = first
        self.weights = weights
    }

    /// Behind the last pixel that one of the result is made of.
    func end(_ place: Int) -> Int {
        first[place] + weights[place].count
    }

    private static func fixed(_ exact: [Double]) -> [Int32] {
        let sum = exact.reduce(0, +)
        let one = Double(Int32(1) << bits)
        return exact.map { value in
            let weight = (sum == 0 ? value : value / sum) * one
            return Int32(weight < 0 ? weight - 0.5 : weight + 0.5)
        }
    }
}
