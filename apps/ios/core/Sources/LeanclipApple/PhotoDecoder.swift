#if canImport(ImageIO)
    import CoreGraphics
    import Foundation
    import ImageIO
    import LeanclipCore

    /// From a photo file to the pixels that an image tower takes: golden photos and the user's.
    public struct PhotoDecoder: PhotoDecoding {
        /// The short side keeps this many times the pixels that the model takes.
        private static let margin = 2
        private static let mostPixels = 64_000_000

        private let spec: Preprocessing
        private let preprocessor: Preprocessor
        private let space = CGColorSpace(name: CGColorSpace.sRGB)!

        public init(_ spec: Preprocessing) {
            self.spec = spec
            preprocessor = Preprocessor(spec)
        }

        public func pixels(of file: Data) throws -> [UInt8] {
            guard let source = CGImageSourceCreateWithData(file as CFData, nil) else {
                throw BundleError("not a photo that can be read")
            }
            let index = CGImageSourceGetPrimaryImageIndex(source)
            let found = CGImageSourceCopyPropertiesAtIndex(source, index, nil)
            guard let properties = found as? [CFString: Any],
                let width = properties[kCGImagePropertyPixelWidth] as? Int,
                let height = properties[kCGImagePropertyPixelHeight] as? Int,
                width > 0, height > 0
            else { throw BundleError("not a photo that can be read") }
            let factor = try factor(source, width, height)
            let options: [CFString: Any] = [
                kCGImageSourceShouldCache: false, kCGImageSourceSubsampleFactor: factor,
            ]
            guard CGImageSourceGetStatusAtIndex(source, index) == .statusComplete,
                let image = CGImageSourceCreateImageAtIndex(
                    source, index, options as CFDictionary)
            else { throw BundleError("damaged") }
            let picture = try drawn(image, width, height, factor)
            let orientation = properties[kCGImagePropertyOrientation] as? Int ?? 1
            return preprocessor.pixels(picture, orientation: orientation)
        }

        /// By what to divide a photo's sides. Only JPEG's decoder averages pixels as it shrinks;
        /// others may drop them, which costs recall, so their photos are decoded whole.
        private func factor(_ source: CGImageSource, _ width: Int, _ height: Int) throws -> Int {
            var factor = 1
            let type = CGImageSourceGetType(source) as String?
            while type == "public.jpeg", factor < 8,
                min(width, height) / (2 * factor) >= PhotoDecoder.margin * spec.size
            {
                factor *= 2
            }
            guard width * height / factor / factor <= PhotoDecoder.mostPixels else {
                throw BundleError("too large: \(width) x \(height) pixels")
            }
            return factor
        }

        /// Pixels as they are stored, laid over the fill colour.
        ///
        /// The model was trained on stored values without regard to colour profiles, so an RGB
        /// photo is only said to be sRGB, not converted.
        private func drawn(
            _ image: CGImage, _ width: Int, _ height: Int, _ factor: Int
        ) throws -> Picture {
            let isRGB = image.colorSpace?.model == .rgb
            let stored = isRGB ? image.copy(colorSpace: space) ?? image : image
            let context = CGContext(
                data: nil, width: image.width, height: image.height, bitsPerComponent: 8,
                bytesPerRow: image.width * 4, space: space,
                bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
            guard let context = context else { throw BundleError("too large for the memory") }
            let all = CGRect(x: 0, y: 0, width: image.width, height: image.height)
            let fill = spec.fill.map { CGFloat($0) / 255 }
            context.setFillColor(red: fill[0], green: fill[1], blue: fill[2], alpha: 1)
            context.fill(all)
            context.interpolationQuality = .none
            context.draw(stored, in: all)
            guard let data = context.data else { throw BundleError("too large for the memory") }
            let count = image.width * image.height * 4
            let shrunk = Double(image.width < width ? factor : 1)
            return Picture(
                width: image.width, height: image.height,
                pixels: [UInt8](UnsafeRawBufferPointer(start: data, count: count)),
                filled: (
                    min(Double(image.width), Double(width) / shrunk),
                    min(Double(image.height), Double(height) / shrunk)
                ))
        }
    }
#endif
