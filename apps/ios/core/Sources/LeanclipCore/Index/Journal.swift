import Foundation

/// One thing that happened to a photo.
struct JournalEntry: Codable, Equatable {
    enum Kind: String, Codable {
        case indexed, unreadable, gone
    }

    let kind: Kind
    let photo: String
    /// What tells this state of a photo from another.
    var state: String?
    /// Of its vector.
    var row: Int?
    /// Why it could not be read.
    var reason: String?
}

/// Lines that are only ever appended, each with a checksum.
///
/// A line that a killed process left half-written ends the journal: it and what follows are cut
/// off when the journal is opened.
final class Journal {
    private static let digits = 8

    private let handle: FileHandle
    /// Whole lines that were there when it was opened, and where each of them ends.
    private(set) var lines: [String] = []
    private var ends: [Int] = []

    init(_ path: URL) throws {
        if !FileManager.default.fileExists(atPath: path.path) {
            try Data().write(to: path)
        }
        handle = try FileHandle(forUpdating: path)
        let content = [UInt8](try handle.readToEnd() ?? Data())
        var start = 0
        while let end = content[start...].firstIndex(of: 0x0A) {
            guard let body = Journal.body(content[start..<end]) else { break }
            lines.append(body)
            start = end + 1
            ends.append(start)
        }
        try handle.truncate(atOffset: UInt64(start))
    }

    deinit {
        try? handle.close()
    }

    /// Cuts all lines but the first ones.
    func keep(_ count: Int) throws {
        try handle.truncate(atOffset: UInt64(count == 0 ? 0 : ends[count - 1]))
    }

    /// Writes lines and waits until they are safe.
    func append(_ bodies: [String]) throws {
        let text = bodies.map { Journal.checksum(Array($0.utf8)) + " " + $0 + "\n" }.joined()
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.synchronize()
    }

    /// What stands behind a right checksum.
    private static func body(_ line: ArraySlice<UInt8>) -> String? {
        let body = Array(line.dropFirst(digits + 1))
        guard line.count > digits, line.starts(with: Array((checksum(body) + " ").utf8)) else {
            return nil
        }
        return String(decoding: body, as: UTF8.self)
    }

    private static func checksum(_ bytes: [UInt8]) -> String {
        let found = String(Checksum.crc32(bytes), radix: 16)
        return String(repeating: "0", count: digits - found.count) + found
    }
}

/// CRC-32 of IEEE 802.3.
enum Checksum {
    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in
            value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1
        }
    }

    static func crc32(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { table[Int(($0 ^ UInt32($1)) & 0xFF)] ^ ($0 >> 8) }
    }
}
