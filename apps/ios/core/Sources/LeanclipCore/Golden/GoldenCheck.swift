import Foundation

/// What a tower takes: pixels (RGB `size * size * 3`) or token ids.
public enum TowerInput {
    case pixels([UInt8])
    case ids([Int32])
}

/// A tower file that is loaded.
public protocol LoadedTower {
    /// The embedding of one input.
    func run(_ input: TowerInput) throws -> [Float]
}

/// Decodes a photo file with the code that also decodes the user's photos.
public protocol PhotoDecoding {
    /// RGB `size * size * 3` as `Preprocessor` makes it.
    func pixels(of file: Data) throws -> [UInt8]
}

/// The golden self-test of one tower file on one compute unit.
///
/// Nothing is searched or timed with a tower that failed it: GPUs and Neural Engines return
/// wrong vectors without an error.
public struct GoldenCheck {
    private static let shown = 40

    private let golden: Golden
    private let bundle: ModelBundle
    private let tokenizer: Tokenizer
    private let decoder: PhotoDecoding

    /// - Throws: `BundleError`: the bundle's golden file is missing or malformed.
    public init(_ bundle: ModelBundle, tokenizer: Tokenizer, decoder: PhotoDecoding) throws {
        golden = try Golden.read(bundle)
        self.bundle = bundle
        self.tokenizer = tokenizer
        self.decoder = decoder
    }

    /// Checks an image tower by photos and the pattern, a text tower by sentences.
    public func check(_ file: TowerFile, _ tower: LoadedTower) throws -> GoldenVerdict {
        var verdict = GoldenVerdict(leastCosine: try golden.limit(file.precision))
        if file.tower == .image {
            for photo in golden.photos { try check(photo, tower, &verdict) }
            let pattern = Golden.patternPixels(bundle.manifest.preprocessing.size)
            verdict.compare(
                "the pattern", try tower.run(.pixels(pattern)), golden.pattern.embedding)
        } else {
            for sentence in golden.sentences { try check(sentence, tower, &verdict) }
        }
        return verdict
    }

    /// One input for timing.
    public func example(_ tower: Tower) -> TowerInput {
        tower == .image
            ? .pixels(Golden.patternPixels(bundle.manifest.preprocessing.size))
            : .ids(tokenizer.encode(golden.sentences[0].text))
    }

    private func check(
        _ photo: GoldenPhoto, _ tower: LoadedTower, _ verdict: inout GoldenVerdict
    ) throws {
        let rgb = try decoder.pixels(of: photo.jpeg)
        let difference = FieldMeans.largestDifference(
            rgb, size: bundle.manifest.preprocessing.size, from: photo.grid)
        // Not "greater than", so that NaN fails.
        if !(difference <= golden.gridTolerance) {
            verdict.fail(
                "photo \(photo.name): pixels differ by \(String(format: "%.1f", difference)) "
                    + "of 255, at most \(golden.gridTolerance) allowed")
        }
        verdict.compare("photo \(photo.name)", try tower.run(.pixels(rgb)), photo.embedding)
    }

    private func check(
        _ sentence: GoldenSentence, _ tower: LoadedTower, _ verdict: inout GoldenVerdict
    ) throws {
        let name = "sentence '\(sentence.text.prefix(GoldenCheck.shown))'"
        let ids = tokenizer.encode(sentence.text)
        if ids != sentence.ids { verdict.fail("\(name): other token ids") }
        verdict.compare(name, try tower.run(.ids(ids)), sentence.embedding)
    }
}
