import XCTest

@testable import LeanclipCore

final class TokenizerTests: XCTestCase {
    private struct Sentence: Decodable {
        let text: String
        let ids: [Int32]
    }

    func testIdsAreThoseOfPython() throws {
        let bundle = try Support.bundle()
        let tokenizer = try Tokenizer(bundle)
        let length = bundle.manifest.text.contextLength
        let sentences = try Support.fixture("tokens", as: [Sentence].self)
        XCTAssertGreaterThan(sentences.count, 100)
        for sentence in sentences {
            let padding = [Int32](repeating: 0, count: length - sentence.ids.count)
            XCTAssertEqual(
                tokenizer.encode(sentence.text), sentence.ids + padding,
                sentence.text.debugDescription)
        }
    }

    func testAWordOfAHundredThousandLettersEnds() throws {
        let tokenizer = try Tokenizer(Support.bundle())
        let ids = tokenizer.encode(String(repeating: "ab", count: 50_000))
        XCTAssertEqual(ids.last, Int32(try Support.bundle().manifest.text.endId))
    }

    func testAVocabularyThatDoesNotFitIsRefused() throws {
        let bundle = try Support.bundle(in: Support.folder(self)) { values in
            var text = values["text"] as! [String: Any]
            text["vocabulary_size"] = 9000
            values["text"] = text
        }
        XCTAssertThrowsError(try Tokenizer(bundle))
    }
}
