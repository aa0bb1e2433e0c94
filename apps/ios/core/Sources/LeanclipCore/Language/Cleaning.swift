import Foundation

/// From a sentence as written to clean text, as CLIP's training did it.
enum Cleaning {
    private static let escape: UInt32 = 0x1B
    private static let newline: UInt32 = 0x0A
    private static let carriageReturn: UInt32 = 0x0D
    private static let replaced = replacements()

    /// Mends encoding errors, resolves HTML entities, folds white space, lowers the case.
    static func clean(_ sentence: String, lowerCase: Bool) -> CodePoints {
        var codes = sentence.codes
        if !isPlain(codes) {
            codes = HtmlEntities.unescape(HtmlEntities.unescape(mend(codes)))
        }
        let folded = fold(codes)
        return lowerCase ? UnicodeTables.lower(folded) : folded
    }

    /// No ampersand and no control sign but white space: nothing that mending would change.
    private static func isPlain(_ codes: CodePoints) -> Bool {
        codes.allSatisfy { code in
            code == 0x09 || code == newline || code == carriageReturn
                || (code >= 0x20 && code <= 0x7E && code != 0x26)
        }
    }

    /// As ftfy mends: line by line, each until nothing changes any more.
    private static func mend(_ codes: CodePoints) -> CodePoints {
        var out: CodePoints = []
        var html = true
        var start = 0
        while start < codes.count {
            let end = codes[start...].firstIndex(of: newline).map { $0 + 1 } ?? codes.count
            let line = CodePoints(codes[start..<end])
            html = html && !line.contains(0x3C)
            out += mendLine(line, html)
            start = end
        }
        return out
    }

    private static func mendLine(_ line: CodePoints, _ html: Bool) -> CodePoints {
        var line = line
        while true {
            let before = line
            if html { line = HtmlEntities.unescapeWhole(line) }
            line = Mojibake.mendControls(Mojibake.mend(line))
            line = plainBreaks(replaceSigns(line))
            line = dropControls(dropTerminalEscapes(line))
            line = String(codes: line).precomposedStringWithCanonicalMapping.codes
            if line == before { return line }
        }
    }

    private static func replacements() -> [UInt32: CodePoints] {
        var found: [UInt32: CodePoints] = [0x3000: [0x20], 0x2028: [newline], 0x2029: [newline]]
        found[0x85] = [newline]
        for line in Tables.lines("mojibake") where line.hasPrefix("ligature ") {
            let codes = Tables.codes(line.split(separator: " ")[1...])
            found[codes[0]] = Array(codes.dropFirst())
        }
        for code in UInt32(0xFF01)..<0xFFF0 {
            found[code] = String(codes: [code]).precomposedStringWithCompatibilityMapping.codes
        }
        for code in [0x2BC] + Array(UInt32(0x2018)...0x201B) { found[code] = [0x27] }
        for code in UInt32(0x201C)...0x201F { found[code] = [0x22] }
        return found
    }

    /// Ligatures, wide and narrow forms, curly quotes, odd line breaks.
    private static func replaceSigns(_ line: CodePoints) -> CodePoints {
        line.flatMap { replaced[$0] ?? [$0] }
    }

    private static func plainBreaks(_ line: CodePoints) -> CodePoints {
        var out: CodePoints = []
        for (place, code) in line.enumerated() {
            if code != carriageReturn {
                out.append(code)
            } else if place + 1 == line.count || line[place + 1] != newline {
                out.append(newline)
            }
        }
        return out
    }

    /// Removes sequences such as those that colour a terminal.
    private static func dropTerminalEscapes(_ line: CodePoints) -> CodePoints {
        guard line.contains(escape) else { return line }
        var out: CodePoints = []
        var at = 0
        while at < line.count {
            if let end = escapeEnd(line, at) {
                at = end
            } else {
                out.append(line[at])
                at += 1
            }
        }
        return out
    }

    private static func escapeEnd(_ line: CodePoints, _ at: Int) -> Int? {
        guard line[at] == escape, at + 1 < line.count, line[at + 1] == 0x5B else { return nil }
        var end = at + 2
        while end < line.count && isDigitOrSemicolon(line[end]) { end += 1 }
        guard end < line.count, (0x61...0x7A).contains(line[end] | 0x20) else { return nil }
        return end + 1
    }

    private static func isDigitOrSemicolon(_ code: UInt32) -> Bool {
        code == 0x3B
            || Unicode.Scalar(code)?.properties.generalCategory == .decimalNumber
    }

    private static func dropControls(_ line: CodePoints) -> CodePoints {
        line.filter { code in
            let kept = code >= 0x20 || [0x09, newline, 0x0C, carriageReturn].contains(code)
            return kept && code != 0x7F && !(0x206A...0x206F).contains(code) && code != 0xFEFF
                && !(0xFFF9...0xFFFC).contains(code)
        }
    }

    private static func fold(_ codes: CodePoints) -> CodePoints {
        var out: CodePoints = []
        var space = false
        for code in codes {
            if UnicodeTables.isSpace(code) {
                space = !out.isEmpty
            } else {
                if space { out.append(0x20) }
                out.append(code)
                space = false
            }
        }
        return out
    }
}
