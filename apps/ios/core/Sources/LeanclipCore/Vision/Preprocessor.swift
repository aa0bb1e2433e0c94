/// From a decoded photo to the square of pixels that an image tower takes.
public struct Preprocessor {
    /// Of a photo more elongated than this, only the middle is resized: a strip of 4,000 x 10
    /// would otherwise grow to 89,600 x 224 before all but its centre is cut away.
    private static let longestAspect = 8.0

    private let spec: Preprocessing

    public init(_ spec: Preprocessing) {
        self.spec = spec
    }

    /// Resizes, turns upright, then crops or pads.
    ///
    /// - Parameters:
    ///   - picture: as it is stored.
    ///   - orientation: EXIF orientation, 1 to 8; others count as 1.
    /// - Returns: RGB, `size * size * 3`, row by row.
    public func pixels(_ picture: Picture, orientation: Int) -> [UInt8] {
        let known = (1...8).contains(orientation) && spec.exifOrientation == .apply
        let turn = known ? orientation : 1
        let sideways = turn >= 5
        let (left, top) = margins(picture)
        let (right, bottom) = (picture.filledWidth - left, picture.filledHeight - top)
        let (width, height) = (right - left, bottom - top)
        let box = Resampler.Box(
            left: Float(left), top: Float(top), right: Float(right), bottom: Float(bottom))
        let upright = sideways ? resized(height, width) : resized(width, height)
        // In the order of the upright photo's sides, since each pass rounds and clips.
        let small = Resampler.resize(
            picture, box: box, width: sideways ? upright.height : upright.width,
            height: sideways ? upright.width : upright.height, filter: spec.interpolation,
            downFirst: sideways)
        return squared(turned(small, turn))
    }

    /// What is left off on both sides of a very long photo.
    private func margins(_ picture: Picture) -> (Double, Double) {
        guard spec.resizeMode == .shortest else { return (0, 0) }
        let (width, height) = (picture.filledWidth, picture.filledHeight)
        let longest = Preprocessor.longestAspect * min(width, height)
        return (
            (max(0, width - longest) / 2).rounded(.down),
            (max(0, height - longest) / 2).rounded(.down)
        )
    }

    private func resized(_ width: Double, _ height: Double) -> (width: Int, height: Int) {
        let size = Double(spec.size)
        switch spec.resizeMode {
        case .squash:
            return (spec.size, spec.size)
        case .longest:
            let ratio = max(width, height) / size
            return (
                Int(max(1, (width / ratio).rounded(.toNearestOrEven))),
                Int(max(1, (height / ratio).rounded(.toNearestOrEven)))
            )
        case .shortest:
            return width <= height
                ? (spec.size, Int(size * height / width)) : (Int(size * width / height), spec.size)
        }
    }

    /// Turned after resizing, where there are few pixels left to move.
    private func turned(_ picture: RGBPicture, _ turn: Int) -> RGBPicture {
        if turn == 1 { return picture }
        let sideways = turn >= 5
        let columns = sideways ? picture.height : picture.width
        let rows = sideways ? picture.width : picture.height
        let mirroredX = [2, 3, 7, 8].contains(turn)
        let mirroredY = [3, 4, 6, 7].contains(turn)
        var out = [UInt8](repeating: 0, count: picture.rgb.count)
        for row in 0..<rows {
            for column in 0..<columns {
                var (x, y) = sideways ? (row, column) : (column, row)
                x = mirroredX ? picture.width - 1 - x : x
                y = mirroredY ? picture.height - 1 - y : y
                for channel in 0..<3 {
                    out[(row * columns + column) * 3 + channel] =
                        picture.rgb[(y * picture.width + x) * 3 + channel]
                }
            }
        }
        return RGBPicture(width: columns, height: rows, rgb: out)
    }

    private func squared(_ picture: RGBPicture) -> [UInt8] {
        if picture.width == spec.size && picture.height == spec.size { return picture.rgb }
        let fill = spec.fill.map { UInt8($0) }
        var out = (0..<(spec.size * spec.size * 3)).map { fill[$0 % 3] }
        let (left, top) = (offset(picture.width), offset(picture.height))
        for row in max(0, top)..<min(spec.size, top + picture.height) {
            for column in max(0, left)..<min(spec.size, left + picture.width) {
                let from = ((row - top) * picture.width + column - left) * 3
                let to = (row * spec.size + column) * 3
                for channel in 0..<3 { out[to + channel] = picture.rgb[from + channel] }
            }
        }
        return out
    }

    /// Rounds to the even neighbour at a half, and pads the odd pixel right and below.
    private func offset(_ side: Int) -> Int {
        side > spec.size
            ? -Int((Double(side - spec.size) / 2).rounded(.toNearestOrEven))
            : (spec.size - side) / 2
    }
}
