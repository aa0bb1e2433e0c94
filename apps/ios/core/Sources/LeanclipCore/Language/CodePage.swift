/// A code page of one byte a character; bytes that it leaves open stand for themselves.
struct CodePage {
    /// The pages that UTF-8 is read with by mistake, the likeliest first.
    static let likely: [CodePage] = Tables.lines("mojibake").compactMap { line in
        let words = line.split(separator: " ")
        guard words[0] == "page" else { return nil }
        return CodePage(name: String(words[1]), upper: Tables.codes(words[2...]))
    }

    static let windows1252 = likely[1]

    private static let substitute = 0x1A

    let name: String
    private var characters: CodePoints
    private var bytes: [UInt32: UInt8] = [:]

    private init(name: String, upper: CodePoints) {
        self.name = name
        characters = (0..<0x80).map { UInt32($0) } + upper.prefix(0x80)
        characters[CodePage.substitute] = upper[0x80]
        for (byte, code) in characters.enumerated() {
            bytes[code] = UInt8(byte)
        }
    }

    /// Whether it lets undefined bytes through and holds U+FFFD in a byte of its own.
    var isSloppy: Bool { name.hasPrefix("sloppy") }

    func decode(_ byte: UInt32) -> UInt32 { characters[Int(byte)] }

    /// The bytes of a text; nil if a character is not on this page.
    func encode(_ codes: CodePoints) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(codes.count)
        for code in codes {
            guard let byte = bytes[code] else { return nil }
            out.append(byte)
        }
        return out
    }
}
