import Foundation

/// Hexadecimal SHA-256 of a file, or of a folder's file names and contents.
///
/// The same as `retrieval.spec.files.sha256_path`: a folder's hash is that of a JSON list of
/// names and hashes, sorted by path, part by part.
public func sha256OfPath(_ path: URL) throws -> String {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path.path, isDirectory: &isFolder) else {
        throw BundleError("\(path.lastPathComponent) is missing; copy the bundle again")
    }
    guard isFolder.boolValue else { return try sha256OfFile(path) }
    let names = try filesInside(path).sorted { precedes($0, $1) }
    let rows = try names.map { parts -> String in
        let name = parts.joined(separator: "/")
        let hash = try sha256OfFile(path.appendingPathComponent(name))
        return "[\(jsonString(name)),\"\(hash)\"]"
    }
    return sha256(Data("[\(rows.joined(separator: ","))]".utf8))
}

/// Hexadecimal SHA-256 of some bytes.
public func sha256(_ data: Data) -> String {
    var hasher = Sha256()
    hasher.update(data)
    return hasher.hexadecimal()
}

private func sha256OfFile(_ path: URL) throws -> String {
    let handle = try FileHandle(forReadingFrom: path)
    defer { try? handle.close() }
    var hasher = Sha256()
    while let part = try handle.read(upToCount: 1 << 20), !part.isEmpty {
        hasher.update(part)
    }
    return hasher.hexadecimal()
}

/// Paths of all files below a folder, each as its parts.
private func filesInside(_ folder: URL) throws -> [[String]] {
    try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { name in
        var isFolder: ObjCBool = false
        let path = folder.appendingPathComponent(name).path
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            && !isFolder.boolValue
    }.map { $0.split(separator: "/").map(String.init) }
}

/// Python sorts paths by their parts, and names by code point.
private func precedes(_ one: [String], _ other: [String]) -> Bool {
    for (left, right) in zip(one, other) where left != right {
        return left.unicodeScalars.lexicographicallyPrecedes(right.unicodeScalars)
    }
    return one.count < other.count
}

/// A string as Python's `json.dumps(ensure_ascii=False)` writes it.
func jsonString(_ text: String) -> String {
    let short: [UInt32: String] = [
        0x22: "\\\"", 0x5C: "\\\\", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r",
        0x09: "\\t",
    ]
    var out = "\""
    for scalar in text.unicodeScalars {
        if let known = short[scalar.value] {
            out += known
        } else if scalar.value < 0x20 {
            let digits = String(scalar.value, radix: 16)
            out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
            out.unicodeScalars.append(scalar)
        }
    }
    return out + "\""
}
