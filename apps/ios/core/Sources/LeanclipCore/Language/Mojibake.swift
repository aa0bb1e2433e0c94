import Foundation

/// Text whose UTF-8 was read in a code page, read again as what it was.
///
/// Does what the encoding steps of ftfy 6.3 do, with the character classes of its patterns (see
/// the NOTICE beside the tables): captions that were copied from web pages have such errors, and
/// token ids must be those that the model was trained with.
enum Mojibake {
    private static let bad = tablePattern("bad ")
    private static let utf8 = tablePattern("utf8 ")
    private static let replacementBytes: CodePoints = [0xEF, 0xBF, 0xBD]

    /// Mends until nothing changes any more.
    static func mend(_ text: CodePoints) -> CodePoints {
        var text = text
        while true {
            let mended = mendOnce(text)
            if mended == text { return text }
            text = mended
        }
    }

    /// C1 control characters as what Windows-1252 has in their place.
    static func mendControls(_ text: CodePoints) -> CodePoints {
        text.map { (0x80...0x9F).contains($0) ? CodePage.windows1252.decode($0) : $0 }
    }

    private static func mendOnce(_ text: CodePoints) -> CodePoints {
        guard text.contains(where: { $0 > 0x7F }), bad.matches(text) else { return text }
        for page in CodePage.likely {
            if let encoded = page.encode(text), let fixed = readAgain(page, encoded) {
                return fixed
            }
        }
        let embedded = mendEmbedded(text)
        return embedded != text ? embedded : mendControls(text)
    }

    private static func readAgain(_ page: CodePage, _ encoded: [UInt8]) -> CodePoints? {
        // As Latin-1, where each character is one byte.
        var bytes = encoded.map { UInt32($0) }
        if page.name != "macroman" && LostBytes.altered.matches(bytes) {
            bytes = LostBytes.aGrave.replacing(bytes) { _ in [0xC3, 0xA0, 0x20] }
            bytes = LostBytes.altered.replacing(bytes) { found in
                found.map { $0 == 0x20 ? 0xA0 : $0 }
            }
        }
        if page.isSloppy {
            bytes = LostBytes.lossy.replacing(bytes) { _ in replacementBytes }
        }
        let plain = bytes.map { UInt8($0) }
        let hasVariants = plain.contains(0xED) || plain.contains(0xC0)
        return decoded(hasVariants ? withoutVariants(plain) : plain)
    }

    private static func mendEmbedded(_ text: CodePoints) -> CodePoints {
        utf8.replacing(text) { found in
            found.count < text.count && bad.matches(found) ? mend(found) : found
        }
    }

    /// Strict UTF-8; nil if it is not.
    private static func decoded(_ bytes: [UInt8]) -> CodePoints? {
        var decoder = UTF8()
        var source = bytes.makeIterator()
        var out: CodePoints = []
        while true {
            switch decoder.decode(&source) {
            case .scalarValue(let scalar): out.append(scalar.value)
            case .emptyInput: return out
            case .error: return nil
            }
        }
    }

    /// Plain UTF-8 of surrogates with three bytes each (CESU-8) and of a null with two.
    private static func withoutVariants(_ bytes: [UInt8]) -> [UInt8] {
        var plain: [UInt8] = []
        var at = 0
        while at < bytes.count {
            if bytes[at] == 0xC0, at + 1 < bytes.count, bytes[at + 1] == 0x80 {
                plain.append(0)
                at += 2
            } else if isSurrogatePair(bytes, at) {
                let code =
                    (UInt32(bytes[at + 1] & 0x0F) << 16) + (UInt32(bytes[at + 2] & 0x3F) << 10)
                    + (UInt32(bytes[at + 4] & 0x0F) << 6) + UInt32(bytes[at + 5] & 0x3F) + 0x10000
                plain += Array(String(codes: [code]).utf8)
                at += 6
            } else {
                plain.append(bytes[at])
                at += 1
            }
        }
        return plain
    }

    private static func isSurrogatePair(_ bytes: [UInt8], _ at: Int) -> Bool {
        at + 5 < bytes.count && bytes[at] == 0xED && (0xA0...0xAF).contains(bytes[at + 1])
            && (0x80...0xBF).contains(bytes[at + 2]) && bytes[at + 3] == 0xED
            && (0xB0...0xBF).contains(bytes[at + 4]) && (0x80...0xBF).contains(bytes[at + 5])
    }

    private static func tablePattern(_ prefix: String) -> Pattern {
        let line = Tables.lines("mojibake").first { $0.hasPrefix(prefix) }!
        return Pattern(String(line.dropFirst(prefix.count)))
    }
}
