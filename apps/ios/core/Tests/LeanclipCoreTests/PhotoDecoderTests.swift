#if canImport(ImageIO)
    import Foundation
    import LeanclipApple
    import XCTest

    @testable import LeanclipCore

    final class PhotoDecoderTests: XCTestCase {
        func testGoldenPhotosHaveTheColoursThatPythonFound() throws {
            let bundle = try Support.bundle()
            let golden = try Golden.read(bundle)
            let spec = bundle.manifest.preprocessing
            for photo in golden.photos {
                let rgb = try PhotoDecoder(spec).pixels(of: photo.jpeg)
                let difference = FieldMeans.largestDifference(
                    rgb, size: spec.size, from: photo.grid)
                XCTAssertLessThanOrEqual(difference, golden.gridTolerance, photo.name)
            }
        }

        func testWhatIsNoPhotoIsRefused() throws {
            let bundle = try Support.bundle()
            let jpeg = try Golden.read(bundle).photos[0].jpeg
            let decoder = PhotoDecoder(bundle.manifest.preprocessing)
            for bad in [Data(), Data("no photo".utf8), jpeg.prefix(jpeg.count / 2)] {
                XCTAssertThrowsError(try decoder.pixels(of: bad))
            }
        }
    }
#endif
