/// Decoded pixels, four bytes each: red, green, blue, and one that is not looked at.
public struct Picture {
    public let width: Int
    public let height: Int
    /// `width * height * 4`, row by row.
    public let pixels: [UInt8]
    /// Columns and rows that the photo fills: one of 1003 columns that was decoded at a quarter
    /// fills 250.75 of 251.
    public let filledWidth: Double
    public let filledHeight: Double

    /// - Parameter filled: width and height that the photo fills; all by default.
    public init(
        width: Int, height: Int, pixels: [UInt8], filled: (width: Double, height: Double)? = nil
    ) {
        precondition(pixels.count == width * height * 4 && width > 0 && height > 0)
        self.width = width
        self.height = height
        self.pixels = pixels
        filledWidth = filled?.width ?? Double(width)
        filledHeight = filled?.height ?? Double(height)
    }
}

/// Pixels of three bytes: red, green and blue.
public struct RGBPicture: Equatable {
    public let width: Int
    public let height: Int
    /// `width * height * 3`, row by row.
    public let rgb: [UInt8]

    public init(width: Int, height: Int, rgb: [UInt8]) {
        self.width = width
        self.height = height
        self.rgb = rgb
    }
}
