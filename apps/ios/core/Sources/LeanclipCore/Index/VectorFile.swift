import Foundation

/// Rows of little-endian fp16, one after the other, only ever appended.
///
/// How many rows count, the journal knows: it is written after the rows are safe on disk.
final class VectorFile {
    private let path: URL
    private let handle: FileHandle
    private let dim: Int

    init(_ path: URL, dim: Int) throws {
        if !FileManager.default.fileExists(atPath: path.path) {
            try Data().write(to: path)
        }
        self.path = path
        handle = try FileHandle(forUpdating: path)
        self.dim = dim
    }

    deinit {
        try? handle.close()
    }

    /// Whole rows on disk.
    func rows() throws -> Int {
        Int(try handle.seekToEnd()) / (2 * dim)
    }

    /// Cuts what lies behind some rows: the torn tail of a process that was killed.
    func keep(_ rows: Int) throws {
        try handle.truncate(atOffset: UInt64(rows * 2 * dim))
    }

    /// Writes rows from a place on and waits until they are safe.
    func append(at row: Int, _ vectors: [[UInt16]]) throws {
        var bytes = Data(capacity: vectors.count * 2 * dim)
        for code in vectors.joined() {
            bytes.append(UInt8(truncatingIfNeeded: code))
            bytes.append(UInt8(truncatingIfNeeded: code >> 8))
        }
        try handle.seek(toOffset: UInt64(row * 2 * dim))
        try handle.write(contentsOf: bytes)
        try handle.synchronize()
    }

    /// The codes of one row.
    func row(_ row: Int) throws -> [UInt16] {
        try handle.seek(toOffset: UInt64(row * 2 * dim))
        let bytes = [UInt8](try handle.read(upToCount: 2 * dim) ?? Data())
        guard bytes.count == 2 * dim else { throw BundleError("the index ends too early") }
        return (0..<dim).map { UInt16(bytes[2 * $0]) | UInt16(bytes[2 * $0 + 1]) << 8 }
    }

    /// Inner products of a query with the first rows.
    func scores(_ query: [Float], rows: Int) throws -> [Float] {
        guard rows > 0 else { return [] }
        let data = try Data(contentsOf: path, options: .alwaysMapped)
        guard data.count >= rows * 2 * dim else { throw BundleError("the index ends too early") }
        return data.withUnsafeBytes { bytes in
            let codes = UnsafeRawBufferPointer(rebasing: bytes[0..<(rows * 2 * dim)])
            return Products.of(codes.bindMemory(to: UInt16.self), query)
        }
    }
}
