import Foundation

/// Code points of a text. Not `String`, for which a letter and its two-part spelling are equal.
typealias CodePoints = [UInt32]

/// Tables that travel with the core; `apps/android/tables/write_tables.py` makes them.
enum Tables {
    static func lines(_ name: String) -> [String] {
        guard let path = Bundle.module.url(forResource: name, withExtension: "txt"),
            let text = try? String(contentsOf: path, encoding: .utf8)
        else {
            fatalError("the app lacks its table \(name).txt")
        }
        return text.split(separator: "\n").map(String.init)
    }

    /// Code points written in hexadecimal with spaces between.
    static func codes(_ words: ArraySlice<Substring>) -> CodePoints {
        words.map { UInt32($0, radix: 16)! }
    }
}

extension String {
    init(codes: CodePoints) {
        self.init()
        unicodeScalars.append(
            contentsOf: codes.map { Unicode.Scalar($0) ?? Unicode.Scalar(0xFFFD as UInt32)! })
    }

    var codes: CodePoints { unicodeScalars.map { $0.value } }
}
