import Foundation

/// A bundle folder: its manifest, and its files once their hash was checked.
public struct ModelBundle {
    public static let manifestName = "bundle.json"

    public let folder: URL
    public let manifest: Manifest

    /// Reads `bundle.json` without touching the large files that it names.
    ///
    /// - Throws: `BundleError`: it is missing, malformed or of a newer format.
    public init(folder: URL) throws {
        self.folder = folder
        manifest = try readJSON(
            Manifest.self, at: folder.appendingPathComponent(ModelBundle.manifestName))
    }

    /// Files of one tower in one format, the recommended first, then the smallest.
    ///
    /// - Throws: `BundleError`: there is none.
    public func candidates(_ tower: Tower, format: String) throws -> [TowerFile] {
        let found = manifest.files.enumerated().filter {
            $0.element.tower == tower && $0.element.format == format
        }
        guard !found.isEmpty else {
            throw BundleError(
                "bundle \(manifest.name) has no \(format) file of its \(tower.rawValue) tower: "
                    + "export it again with --to \(format)")
        }
        return found.sorted { one, other in
            let (left, right) = (one.element, other.element)
            if left.recommended != right.recommended { return left.recommended }
            return left.bytes != right.bytes
                ? left.bytes < right.bytes : one.offset < other.offset
        }.map { $0.element }
    }

    /// A tower file whose bytes were found right.
    ///
    /// - Throws: `BundleError`: it is missing, damaged or lies outside the bundle.
    public func checked(_ file: TowerFile) throws -> URL {
        try checked(file.file, sha256: file.sha256)
    }

    /// The vocabulary file whose bytes were found right; throws as the other.
    public func checkedVocabulary() throws -> URL {
        try checked(manifest.text.vocabularyFile, sha256: manifest.text.vocabularySha256)
    }

    /// The golden file, whose bytes were found right if its hash is known; throws likewise.
    public func checkedGolden() throws -> URL {
        try checked(Golden.fileName, sha256: manifest.goldenSha256)
    }

    private func checked(_ name: String, sha256: String?) throws -> URL {
        let path = try located(name)
        guard FileManager.default.fileExists(atPath: path.path) else {
            throw BundleError("\(name) is missing from the bundle; copy the bundle again")
        }
        if let promised = sha256, try sha256OfPath(path) != promised {
            throw BundleError(
                "\(name) is damaged: its SHA-256 is not the one in bundle.json; "
                    + "copy the bundle again")
        }
        return path
    }

    /// Where a file of the manifest lies, whether it is there or not.
    private func located(_ name: String) throws -> URL {
        let path = folder.appendingPathComponent(name).standardizedFileURL
        let real = path.resolvingSymlinksInPath().path
        let root = folder.standardizedFileURL.resolvingSymlinksInPath().path
        guard !name.hasPrefix("/"), real.hasPrefix(root + "/") else {
            throw BundleError("bundle.json names \(name), which lies outside the bundle")
        }
        return path
    }
}

/// Reads a JSON file; every failure is a `BundleError` that names it.
func readJSON<Value: Decodable>(_ type: Value.Type, at path: URL) throws -> Value {
    let name = path.lastPathComponent
    let data: Data
    do {
        data = try Data(contentsOf: path)
    } catch {
        throw BundleError("\(name) cannot be read; copy the whole bundle again")
    }
    do {
        return try JSONDecoder().decode(type, from: data)
    } catch let error as BundleError {
        throw error
    } catch let error as DecodingError {
        throw BundleError("\(name) is damaged: \(explained(error)); export it again")
    }
}

private func explained(_ error: DecodingError) -> String {
    let place: ([CodingKey], String) -> String = { path, what in
        let keys = path.map { $0.intValue.map(String.init) ?? $0.stringValue }
        return (keys.isEmpty ? "the file" : keys.joined(separator: ".")) + " " + what
    }
    switch error {
    case .keyNotFound(let key, let context):
        return place(context.codingPath + [key], "is missing")
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
        return place(context.codingPath, "has the wrong type")
    case .dataCorrupted(let context):
        return place(context.codingPath, "cannot be understood")
    @unknown default:
        return "the file cannot be understood"
    }
}
