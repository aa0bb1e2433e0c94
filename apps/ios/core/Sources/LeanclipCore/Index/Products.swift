import Foundation

#if canImport(Accelerate)
    import Accelerate
#endif

/// Inner products of a query with rows of fp16.
enum Products {
    /// Rows that are widened to float32 at once.
    private static let rowsAtOnce = 4096

    /// Inner products with every row.
    ///
    /// - Parameters:
    ///   - codes: `rows * query.count` numbers of fp16, little-endian as both kinds of Mac and
    ///     all phones are.
    ///   - query: of the embedding's size.
    static func of(_ codes: UnsafeBufferPointer<UInt16>, _ query: [Float]) -> [Float] {
        let rows = codes.count / query.count
        var scores = [Float](repeating: 0, count: rows)
        #if canImport(Accelerate)
            var wide = [Float](repeating: 0, count: min(rows, rowsAtOnce) * query.count)
            for start in stride(from: 0, to: rows, by: rowsAtOnce) {
                let count = min(rowsAtOnce, rows - start)
                let part = UnsafeBufferPointer(
                    rebasing: codes[(start * query.count)..<((start + count) * query.count)])
                widen(part, into: &wide)
                scores.withUnsafeMutableBufferPointer { out in
                    vDSP_mmul(
                        wide, 1, query, 1, out.baseAddress! + start, 1, vDSP_Length(count), 1,
                        vDSP_Length(query.count))
                }
            }
        #else
            for row in 0..<rows { scores[row] = plain(codes, row * query.count, query) }
        #endif
        return scores
    }

    /// One inner product without Accelerate.
    static func plain(
        _ codes: UnsafeBufferPointer<UInt16>, _ start: Int, _ query: [Float]
    ) -> Float {
        var sum: Float = 0
        for (place, value) in query.enumerated() {
            sum += value * Half.values[Int(codes[start + place])]
        }
        return sum
    }

    #if canImport(Accelerate)
        private static func widen(
            _ codes: UnsafeBufferPointer<UInt16>, into wide: inout [Float]
        ) {
            wide.withUnsafeMutableBufferPointer { out in
                var source = vImage_Buffer(
                    data: UnsafeMutableRawPointer(mutating: codes.baseAddress!), height: 1,
                    width: vImagePixelCount(codes.count), rowBytes: codes.count * 2)
                var target = vImage_Buffer(
                    data: out.baseAddress!, height: 1, width: vImagePixelCount(codes.count),
                    rowBytes: codes.count * 4)
                vImageConvert_Planar16FtoPlanarF(&source, &target, 0)
            }
        }
    #endif
}
