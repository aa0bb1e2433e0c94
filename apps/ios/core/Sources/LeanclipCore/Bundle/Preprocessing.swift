/// What becomes of a photo before an image tower sees it, as `bundle.json` says.
public struct Preprocessing: Decodable, Equatable {
    /// How a photo becomes a square.
    public enum ResizeMode: String, Decodable {
        case shortest, squash, longest
    }

    /// Order of colour channels.
    public enum ChannelOrder: String, Decodable {
        case rgb = "RGB"
        case bgr = "BGR"
    }

    /// Whether photos are turned as their metadata says.
    public enum Orientation: String, Decodable {
        case apply, ignore
    }

    /// Height and width of the tower's input, in pixels.
    public let size: Int
    public let resizeMode: ResizeMode
    public let interpolation: Filter
    /// Red, green and blue of padding and of what lies behind transparent pixels.
    public let fill: [Int]
    public let channelOrder: ChannelOrder
    public let exifOrientation: Orientation

    enum CodingKeys: String, CodingKey {
        case size
        case resizeMode = "resize_mode"
        case interpolation
        case antialias
        case fill
        case channelOrder = "channel_order"
        case exifOrientation = "exif_orientation"
    }

    public init(
        size: Int,
        resizeMode: ResizeMode = .shortest,
        interpolation: Filter = .bicubic,
        fill: [Int] = [0, 0, 0],
        channelOrder: ChannelOrder = .rgb,
        exifOrientation: Orientation = .apply
    ) {
        self.size = size
        self.resizeMode = resizeMode
        self.interpolation = interpolation
        self.fill = fill
        self.channelOrder = channelOrder
        self.exifOrientation = exifOrientation
    }

    public init(from decoder: Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        size = try values.decode(Int.self, forKey: .size)
        resizeMode = try values.decodeIfPresent(ResizeMode.self, forKey: .resizeMode) ?? .shortest
        interpolation = try values.decodeIfPresent(Filter.self, forKey: .interpolation) ?? .bicubic
        fill = try values.decodeIfPresent([Int].self, forKey: .fill) ?? [0, 0, 0]
        channelOrder =
            try values.decodeIfPresent(ChannelOrder.self, forKey: .channelOrder) ?? .rgb
        exifOrientation =
            try values.decodeIfPresent(Orientation.self, forKey: .exifOrientation) ?? .apply
        let antialias = try values.decodeIfPresent(Bool.self, forKey: .antialias) ?? true
        guard antialias else {
            throw BundleError("bundle.json: photos are always resized with antialias")
        }
        guard (8...4096).contains(size) else {
            throw BundleError("bundle.json: an image size of \(size) cannot be")
        }
        guard fill.count == 3, fill.allSatisfy({ (0...255).contains($0) }) else {
            throw BundleError("bundle.json: fill must be three numbers from 0 to 255")
        }
    }
}
