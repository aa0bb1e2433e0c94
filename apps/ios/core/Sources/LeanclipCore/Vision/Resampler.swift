/// Resizing whose filter widens with the scale (antialias), in the fixed-point arithmetic of
/// Pillow, so that an image tower sees on a phone what it saw in training.
///
/// Core Graphics and Core Image filter otherwise, which costs recall.
public enum Resampler {
    /// Part of a picture, in pixels; fractions count.
    public struct Box {
        public let left: Float
        public let top: Float
        public let right: Float
        public let bottom: Float

        public init(left: Float, top: Float, right: Float, bottom: Float) {
            self.left = left
            self.top = top
            self.right = right
            self.bottom = bottom
        }
    }

    private static let half: Int32 = 1 << (Weights.bits - 1)

    /// Resizes a part of a picture in two passes, each rounded to whole levels.
    ///
    /// - Parameter downFirst: rows before columns: for photos that lie on their side, whose rows
    ///   are the columns of the upright photo.
    public static func resize(
        _ picture: Picture, box: Box, width: Int, height: Int, filter: Filter, downFirst: Bool
    ) -> RGBPicture {
        let across = Weights(
            size: picture.width, from: box.left, to: box.right, target: width, filter: filter)
        let down = Weights(
            size: picture.height, from: box.top, to: box.bottom, target: height, filter: filter)
        let top = down.first[0]
        let bottom = down.end(height - 1)
        let rgb = picture.pixels.withUnsafeBufferPointer { pixels -> [UInt8] in
            let stride = picture.width * 4
            if downFirst {
                let short = sums(of: pixels, stride: stride, down: down, top: 0)
                return short.withUnsafeBufferPointer {
                    shrunk($0, rows: 0..<height, stride: stride, step: 4, across: across)
                }
            }
            let narrow = shrunk(pixels, rows: top..<bottom, stride: stride, step: 4, across: across)
            return narrow.withUnsafeBufferPointer {
                sums(of: $0, stride: width * 3, down: down, top: top)
            }
        }
        return RGBPicture(width: width, height: height, rgb: rgb)
    }

    /// Rows with fewer columns, three bytes a pixel.
    private static func shrunk(
        _ pixels: UnsafeBufferPointer<UInt8>, rows: Range<Int>, stride: Int, step: Int,
        across: Weights
    ) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: rows.count * across.first.count * 3)
        var at = 0
        for row in rows {
            for (first, weights) in zip(across.first, across.weights) {
                var (red, green, blue) = (half, half, half)
                var from = row * stride + first * step
                for weight in weights {
                    red &+= Int32(pixels[from]) &* weight
                    green &+= Int32(pixels[from + 1]) &* weight
                    blue &+= Int32(pixels[from + 2]) &* weight
                    from += step
                }
                out[at] = clipped(red)
                out[at + 1] = clipped(green)
                out[at + 2] = clipped(blue)
                at += 3
            }
        }
        return out
    }

    /// Fewer rows of `stride` bytes; `top` is the number of the first row that is there.
    private static func sums(
        of rows: UnsafeBufferPointer<UInt8>, stride: Int, down: Weights, top: Int
    ) -> [UInt8] {
        var out = [UInt8](repeating: 0, count: down.first.count * stride)
        var totals = [Int32](repeating: half, count: stride)
        for (row, weights) in down.weights.enumerated() {
            for place in 0..<stride { totals[place] = half }
            for (offset, weight) in weights.enumerated() {
                let begin = (down.first[row] - top + offset) * stride
                for place in 0..<stride {
                    totals[place] &+= Int32(rows[begin + place]) &* weight
                }
            }
            for place in 0..<stride { out[row * stride + place] = clipped(totals[place]) }
        }
        return out
    }

    private static func clipped(_ sum: Int32) -> UInt8 {
        UInt8(max(0, min(255, sum >> Weights.bits)))
    }
}
