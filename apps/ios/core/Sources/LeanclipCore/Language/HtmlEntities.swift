/// HTML entities and character references, as HTML 5 and as careful menders read them.
enum HtmlEntities {
    private static let longestName = 32
    private static let longestCareful = 24
    private static let ampersand = code("&")
    private static let semicolon = code(";")
    private static let hash = code("#")
    private static let stops = Set("\t\n\u{0C} <&#;".unicodeScalars.map { $0.value })

    /// Names that HTML 5 knows, and those in capitals that only the mending of text knows.
    private static let names = read(shouted: false)
    private static let shouted = read(shouted: true)

    private static func read(shouted: Bool) -> [CodePoints: CodePoints] {
        var found: [CodePoints: CodePoints] = [:]
        for line in Tables.lines("entities") {
            let words = line.split(separator: " ")
            guard words[0].hasPrefix("^") == shouted else { continue }
            found[String(shouted ? words[0].dropFirst() : words[0]).codes] =
                Tables.codes(words[1...])
        }
        return found
    }

    /// Resolves what HTML 5 resolves, names without a semicolon and parts of names too.
    static func unescape(_ text: CodePoints) -> CodePoints {
        replacing(text) { start in
            let end = referenceEnd(text, start)
            return end > start ? (resolved(Array(text[start..<end])), end) : nil
        }
    }

    /// Resolves whole entities that end with a semicolon, shouted names too, and no others.
    static func unescapeWhole(_ text: CodePoints) -> CodePoints {
        replacing(text) { start in
            guard let end = wholeEnd(text, start),
                let found = wholeResolved(Array(text[start..<end]))
            else { return nil }
            return (found, end)
        }
    }

    /// Asks `found` behind each ampersand for what to put there and where to go on.
    private static func replacing(
        _ text: CodePoints, _ found: (Int) -> (CodePoints, Int)?
    ) -> CodePoints {
        guard text.contains(ampersand) else { return text }
        var out: CodePoints = []
        var at = 0
        while at < text.count {
            if text[at] == ampersand, let (replacement, end) = found(at + 1) {
                out += replacement
                at = end
            } else {
                out.append(text[at])
                at += 1
            }
        }
        return out
    }

    private static func wholeResolved(_ reference: CodePoints) -> CodePoints? {
        if let named = names[reference] { return named }
        guard reference.first == hash else { return shouted[reference] }
        let numbered = unescape([ampersand] + reference)
        return numbered.contains(semicolon) ? nil : numbered
    }

    /// Behind `#?[0-9A-Za-z]{1,24};` from a place on; nil if that is not there.
    private static func wholeEnd(_ text: CodePoints, _ start: Int) -> Int? {
        let first = start < text.count && text[start] == hash ? start + 1 : start
        var end = first
        while end < text.count && isAsciiWord(text[end]) { end += 1 }
        guard end > first, end - first <= longestCareful, end < text.count,
            text[end] == semicolon
        else { return nil }
        return end + 1
    }

    private static func referenceEnd(_ text: CodePoints, _ start: Int) -> Int {
        var end = start
        if start < text.count && text[start] == hash {
            let hex = start + 1 < text.count && (text[start + 1] | 0x20) == code("x")
            let first = hex ? start + 2 : start + 1
            end = first
            while end < text.count && digit(text[end], hex ? 16 : 10) != nil { end += 1 }
            return end == first ? start : behindSemicolon(text, end)
        }
        while end - start < longestName && end < text.count && !stops.contains(text[end]) {
            end += 1
        }
        return end == start ? start : behindSemicolon(text, end)
    }

    private static func behindSemicolon(_ text: CodePoints, _ end: Int) -> Int {
        end < text.count && text[end] == semicolon ? end + 1 : end
    }

    private static func resolved(_ reference: CodePoints) -> CodePoints {
        if reference[0] == hash { return numbered(reference) }
        if let known = names[reference] { return known }
        for length in stride(from: reference.count - 1, to: 1, by: -1) {
            if let known = names[Array(reference[..<length])] {
                return known + reference[length...]
            }
        }
        return [ampersand] + reference
    }

    private static func numbered(_ reference: CodePoints) -> CodePoints {
        let hex = (reference[1] | 0x20) == code("x")
        var value: UInt64 = 0
        for sign in reference[(hex ? 2 : 1)...] {
            if let next = digit(sign, hex ? 16 : 10) {
                value = min(value * (hex ? 16 : 10) + UInt64(next), 0x7FFF_FFFF)
            }
        }
        let found = UInt32(value)
        if found == 0 || Unicode.Scalar(found) == nil { return [0xFFFD] }
        if (0x80..<0xA0).contains(found) { return [CodePage.windows1252.decode(found)] }
        return isForbidden(found) ? [] : [found]
    }

    /// Code points that HTML 5 calls a parse error: controls and those that are no characters.
    private static func isForbidden(_ value: UInt32) -> Bool {
        (value < 0x20 && ![9, 10, 12, 13].contains(value)) || value == 0x7F
            || (0xFDD0...0xFDEF).contains(value) || value & 0xFFFE == 0xFFFE
    }

    private static func isAsciiWord(_ value: UInt32) -> Bool {
        digit(value, 10) != nil || (code("a")...code("z")).contains(value | 0x20)
    }

    private static func digit(_ value: UInt32, _ base: UInt32) -> UInt32? {
        if (0x30...0x39).contains(value) { return value - 0x30 }
        let letter = value | 0x20
        guard base == 16, (0x61...0x66).contains(letter) else { return nil }
        return letter - 0x61 + 10
    }

    private static func code(_ sign: Unicode.Scalar) -> UInt32 { sign.value }
}
