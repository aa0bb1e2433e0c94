#if canImport(CoreML)
    import CoreML
    import CoreVideo
    import Foundation
    import LeanclipCore

    /// A tower that Core ML has loaded; a batch of one.
    struct CoreMLTower: LoadedTower {
        private let model: MLModel
        private let interface: Interface

        init(_ model: MLModel, _ interface: Interface) {
            self.model = model
            self.interface = interface
        }

        func run(_ input: TowerInput) throws -> [Float] {
            let features = try MLDictionaryFeatureProvider(
                dictionary: [interface.input: try feature(input)])
            let found = try model.prediction(from: features)
            guard let array = found.featureValue(for: interface.output)?.multiArrayValue else {
                throw BundleError("the model has no output \(interface.output); export it again")
            }
            return (0..<array.count).map { array[$0].floatValue }
        }

        private func feature(_ input: TowerInput) throws -> MLFeatureValue {
            switch (input, interface.type) {
            case (.pixels(let rgb), "image"):
                return MLFeatureValue(pixelBuffer: try buffer(rgb))
            case (.ids(let ids), "int32"):
                let array = try MLMultiArray(
                    shape: [1, NSNumber(value: ids.count)], dataType: .int32)
                for (place, id) in ids.enumerated() { array[place] = NSNumber(value: id) }
                return MLFeatureValue(multiArray: array)
            default:
                throw BundleError(
                    "the model takes \(interface.type), which this app cannot make of its input")
            }
        }

        /// A square of pixels, which Core ML converts from BGRA to the order that it needs.
        private func buffer(_ rgb: [UInt8]) throws -> CVPixelBuffer {
            let size = Int(Double(rgb.count / 3).squareRoot())
            var made: CVPixelBuffer?
            CVPixelBufferCreate(
                kCFAllocatorDefault, size, size, kCVPixelFormatType_32BGRA,
                [kCVPixelBufferIOSurfacePropertiesKey: [:] as CFDictionary] as CFDictionary, &made)
            guard let buffer = made else { throw BundleError("there is no memory for a photo") }
            CVPixelBufferLockBaseAddress(buffer, [])
            defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
            guard let base = CVPixelBufferGetBaseAddress(buffer) else {
                throw BundleError("there is no memory for a photo")
            }
            let bytes = base.assumingMemoryBound(to: UInt8.self)
            let stride = CVPixelBufferGetBytesPerRow(buffer)
            for row in 0..<size {
                for column in 0..<size {
                    let from = (row * size + column) * 3
                    let to = row * stride + column * 4
                    bytes[to] = rgb[from + 2]
                    bytes[to + 1] = rgb[from + 1]
                    bytes[to + 2] = rgb[from]
                    bytes[to + 3] = 255
                }
            }
            return buffer
        }
    }
#endif
