import Foundation
import XCTest

@testable import LeanclipCore

final class PreprocessorTests: XCTestCase {
    private struct Case: Decodable {
        let width: Int
        let height: Int
        let mode: Preprocessing.ResizeMode
        let interpolation: Filter
        let orientation: Int
        let rgb: Data
    }

    func testPixelsAreThoseOfPillow() throws {
        let cases = try Support.fixture("pixels", as: [Case].self)
        XCTAssertGreaterThan(cases.count, 50)
        for expected in cases {
            let size = Int(Double(expected.rgb.count / 3).squareRoot())
            let spec = Preprocessing(
                size: size, resizeMode: expected.mode, interpolation: expected.interpolation,
                fill: [9, 99, 199])
            let picture = noise(expected.width, expected.height)
            let found = Preprocessor(spec).pixels(picture, orientation: expected.orientation)
            XCTAssertEqual(
                found, [UInt8](expected.rgb),
                "\(expected.mode) \(expected.interpolation) \(expected.width) x "
                    + "\(expected.height), orientation \(expected.orientation)")
        }
    }

    func testOrientationIsIgnoredWhereTheBundleSaysSo() {
        let spec = Preprocessing(size: 16, exifOrientation: .ignore)
        let picture = noise(61, 40)
        XCTAssertEqual(
            Preprocessor(spec).pixels(picture, orientation: 6),
            Preprocessor(spec).pixels(picture, orientation: 1))
    }

    func testAPartlyFilledColumnDoesNotShiftThePhoto() {
        let spec = Preprocessing(size: 16, resizeMode: .squash, interpolation: .bilinear)
        var pixels = [UInt8](repeating: 100, count: 33 * 32 * 4)
        for row in 0..<32 {
            for channel in 0..<4 { pixels[(row * 33 + 32) * 4 + channel] = 255 }
        }
        let picture = Picture(width: 33, height: 32, pixels: pixels, filled: (32, 32))
        let found = Preprocessor(spec).pixels(picture, orientation: 1)
        XCTAssertEqual(Set(found.prefix(15 * 3)), [100])
    }

    /// The high bits of a linear congruential generator, as the fixtures have them.
    private func noise(_ width: Int, _ height: Int) -> Picture {
        var state = UInt32(width * 1000 + height)
        var pixels: [UInt8] = []
        for _ in 0..<(width * height) {
            for _ in 0..<3 {
                state = state &* 1_664_525 &+ 1_013_904_223
                pixels.append(UInt8(state >> 24))
            }
            pixels.append(77)
        }
        return Picture(width: width, height: height, pixels: pixels)
    }
}
