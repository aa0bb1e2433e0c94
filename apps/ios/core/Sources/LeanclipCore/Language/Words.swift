/// Words, contractions, single digits, runs of other signs, and the special tokens.
enum Words {
    static let start = "<start_of_text>".codes
    static let end = "<end_of_text>".codes

    private static let whole =
        [start, end] + ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { $0.codes }
    private static let longS: UInt32 = 0x17F
    private static let kelvin: UInt32 = 0x212A

    private enum Kind {
        case between, letter, number, sign
    }

    /// The words of clean text, in order.
    static func of(_ cleaned: CodePoints) -> [CodePoints] {
        var words: [CodePoints] = []
        var at = 0
        while at < cleaned.count {
            let end = wordEnd(cleaned, at)
            if end > at { words.append(CodePoints(cleaned[at..<end])) }
            at = max(end, at + 1)
        }
        return words
    }

    private static func wordEnd(_ text: CodePoints, _ at: Int) -> Int {
        for known in whole where startsWith(text, at, known) {
            return at + known.count
        }
        let first = kind(text[at])
        if first == .between { return at }
        if first == .number { return at + 1 }
        var end = at + 1
        while end < text.count && kind(text[end]) == first { end += 1 }
        return end
    }

    private static func kind(_ code: UInt32) -> Kind {
        if UnicodeTables.isLetter(code) { return .letter }
        if UnicodeTables.isNumber(code) { return .number }
        return UnicodeTables.isBetween(code) ? .between : .sign
    }

    private static func startsWith(_ text: CodePoints, _ at: Int, _ word: CodePoints) -> Bool {
        guard at + word.count <= text.count else { return false }
        return word.indices.allSatisfy { folded(text[at + $0]) == word[$0] }
    }

    /// Without case; two signs beyond ASCII count as letters of it.
    private static func folded(_ code: UInt32) -> UInt32 {
        if (0x41...0x5A).contains(code) { return code + 0x20 }
        if code == longS { return 0x73 }
        return code == kelvin ? 0x6B : code
    }
}
