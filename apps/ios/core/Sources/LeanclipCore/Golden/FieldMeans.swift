/// Mean colours of a picture's fields, by which photos are compared.
enum FieldMeans {
    /// Largest difference of a field's mean colour from what is expected, of 255.
    ///
    /// - Parameters:
    ///   - rgb: `size * size * 3`.
    ///   - grid: expected means, `grid[row][column][channel]`.
    static func largestDifference(
        _ rgb: [UInt8], size: Int, from grid: [[[Double]]]
    ) -> Double {
        guard rgb.count == size * size * 3 else { return .nan }
        var largest = 0.0
        for (row, fields) in grid.enumerated() {
            for (column, expected) in fields.enumerated() {
                let rows = (row * size / grid.count)..<((row + 1) * size / grid.count)
                let columns =
                    (column * size / fields.count)..<((column + 1) * size / fields.count)
                let found = mean(rgb, size, rows, columns)
                for (one, other) in zip(found, expected) {
                    largest = max(largest, abs(one - other))
                }
            }
        }
        return largest
    }

    private static func mean(
        _ rgb: [UInt8], _ size: Int, _ rows: Range<Int>, _ columns: Range<Int>
    ) -> [Double] {
        var sums = [0, 0, 0]
        for row in rows {
            for column in columns {
                for channel in 0..<3 { sums[channel] += Int(rgb[(row * size + column) * 3 + channel]) }
            }
        }
        return sums.map { Double($0) / Double(rows.count * columns.count) }
    }
}
