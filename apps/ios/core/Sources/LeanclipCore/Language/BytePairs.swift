/// Byte-pair encoding of one word (Sennrich et al. 2016, byte-level as in GPT-2).
///
/// Pieces are token ids throughout: strings would be slow, and Swift takes different spellings
/// of a letter for equal.
struct BytePairs {
    /// Ids of bytes inside a word, by byte; a byte that ends one has an id 256 higher.
    private static let idOfByte: [Int32] = {
        var ids = [Int32](repeating: 0, count: 256)
        for (id, byte) in byteOrder.enumerated() { ids[Int(byte)] = Int32(id) }
        return ids
    }()

    /// Bytes in the order of their ids: those with a printable Latin-1 character first.
    private static let byteOrder: [UInt8] =
        (0...255).filter(isPrintable) + (0...255).filter { !isPrintable($0) }

    /// Symbols that every vocabulary begins with: bytes inside a word, bytes that end one.
    static let symbols: [[UInt8]] = {
        let printable = byteOrder.filter(isPrintable).count
        let names = byteOrder.enumerated().map { place, byte -> [UInt8] in
            let code = isPrintable(byte) ? UInt32(byte) : UInt32(256 + place - printable)
            return Array(String(codes: [code]).utf8)
        }
        return names + names.map { $0 + Array("</w>".utf8) }
    }()

    private struct Rule {
        let rank: Int
        let joined: Int32
    }

    private var rules: [UInt64: Rule] = [:]

    private static func isPrintable(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) || (byte >= 0xA1 && byte != 0xAD)
    }

    /// Adds the merge of two pieces; of several with the same pieces the last one counts.
    mutating func add(left: Int32, right: Int32, joined: Int32, rank: Int) {
        rules[BytePairs.key(left, right)] = Rule(rank: rank, joined: joined)
    }

    /// Token ids of a word that is not empty; the pair of lowest rank is joined first.
    func split(_ word: CodePoints) -> [Int32] {
        var pieces = String(codes: word).utf8.map { BytePairs.idOfByte[Int($0)] }
        pieces[pieces.count - 1] += 256
        var merging = Merging(pieces: pieces)
        return merging.run { left, right in
            rules[BytePairs.key(left, right)].map { (rank: $0.rank, joined: $0.joined) }
        }
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }
}
