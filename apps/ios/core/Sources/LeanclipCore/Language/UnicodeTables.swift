/// Classes of characters and lower case, as Python's tokenizer has them.
///
/// Not those of the system: token ids must not depend on how old a phone's system is.
enum UnicodeTables {
    private static let sigma: UInt32 = 0x3A3
    private static let finalSigma: UInt32 = 0x3C2
    private static let smallSigma: UInt32 = 0x3C3
    private static let capitalIWithDot: UInt32 = 0x130
    private static let smallIWithDot: CodePoints = [0x69, 0x307]

    private static let sections = read()
    private static let letters = edges("letters")
    private static let numbers = edges("numbers")
    private static let between = edges("between")
    private static let spaces = edges("spaces")
    private static let cased = edges("cased")
    private static let ignorable = edges("ignorable")
    private static let lowered = lowerCases()

    static func isLetter(_ code: UInt32) -> Bool { holds(letters, code) }

    static func isNumber(_ code: UInt32) -> Bool { holds(numbers, code) }

    /// Whether it belongs to no word: white space, and one mark that no pattern matches.
    static func isBetween(_ code: UInt32) -> Bool { holds(between, code) }

    static func isSpace(_ code: UInt32) -> Bool { holds(spaces, code) }

    /// Lower case with the final form of sigma, without regard to the language.
    static func lower(_ codes: CodePoints) -> CodePoints {
        var out: CodePoints = []
        out.reserveCapacity(codes.count)
        for (place, code) in codes.enumerated() {
            if code == sigma {
                out.append(endsWord(codes, place) ? finalSigma : smallSigma)
            } else if code == capitalIWithDot {
                out += smallIWithDot
            } else {
                out.append(lowered[code] ?? code)
            }
        }
        return out
    }

    /// Whether a cased letter stands before and none behind, marks between not counted.
    private static func endsWord(_ codes: CodePoints, _ place: Int) -> Bool {
        var before = place - 1
        while before >= 0 && holds(ignorable, codes[before]) { before -= 1 }
        var after = place + 1
        while after < codes.count && holds(ignorable, codes[after]) { after += 1 }
        return before >= 0 && holds(cased, codes[before])
            && (after == codes.count || !holds(cased, codes[after]))
    }

    private static func read() -> [String: [[Substring]]] {
        var found: [String: [[Substring]]] = [:]
        var section = ""
        for line in Tables.lines("unicode") {
            if line.hasPrefix("[") {
                section = String(line.dropFirst().dropLast())
            } else {
                found[section, default: []].append(line.split(separator: " "))
            }
        }
        return found
    }

    /// Where a class begins and ends, in turns.
    private static func edges(_ section: String) -> [UInt32] {
        sections[section]!.flatMap { words -> [UInt32] in
            let ends = Tables.codes(words[...])
            return [ends[0], ends[1] + 1]
        }
    }

    private static func lowerCases() -> [UInt32: UInt32] {
        var found: [UInt32: UInt32] = [:]
        for words in sections["lower"]! {
            let ends = Tables.codes(words[..<2])
            let distance = Int(words[3])!
            for code in stride(from: Int(ends[0]), through: Int(ends[1]), by: Int(words[2])!) {
                found[UInt32(code)] = UInt32(code + distance)
            }
        }
        return found
    }

    /// An odd number of edges at or below the code means that it is inside.
    private static func holds(_ edges: [UInt32], _ code: UInt32) -> Bool {
        var (low, high) = (0, edges.count)
        while low < high {
            let middle = (low + high) / 2
            if edges[middle] <= code { low = middle + 1 } else { high = middle }
        }
        return low % 2 == 1
    }
}
