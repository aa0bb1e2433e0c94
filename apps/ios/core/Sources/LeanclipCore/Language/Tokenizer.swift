import Foundation

/// CLIP's byte-pair encoding over a bundle's vocabulary.
///
/// Every byte has a symbol, so no sentence has an unknown token.
public struct Tokenizer {
    private let spec: TextSpec
    private var pairs = BytePairs()

    /// The tokenizer of a bundle.
    ///
    /// - Throws: `BundleError`: the vocabulary is missing, damaged, or not what the manifest says.
    public init(_ bundle: ModelBundle) throws {
        spec = bundle.manifest.text
        let name = spec.vocabularyFile
        let merges = try Tokenizer.merges(at: bundle.checkedVocabulary(), name: name)
        let symbols = BytePairs.symbols
        var ids: [[UInt8]: Int32] = [:]
        for (id, piece) in (symbols + merges.map { $0.left + $0.right }).enumerated() {
            ids[piece] = Int32(id)
        }
        for (rank, merge) in merges.enumerated() {
            // A part that is no piece itself never comes up.
            guard let left = ids[merge.left], let right = ids[merge.right] else { continue }
            let joined = ids[merge.left + merge.right]!
            pairs.add(left: left, right: right, joined: joined, rank: rank)
        }
        let size = symbols.count + merges.count + 2
        let fits =
            spec.vocabularySize == size && spec.startId == size - 2 && spec.endId == size - 1
        guard fits, (0..<size).contains(spec.padId) else {
            throw BundleError(
                "\(name) makes \(size) tokens, which is not what bundle.json says; export it again")
        }
    }

    /// Ids of a sentence, as many as the bundle's context; too long a sentence is cut.
    public func encode(_ sentence: String) -> [Int32] {
        let room = spec.contextLength - 2
        var ids: [Int32] = []
        for word in Words.of(Cleaning.clean(sentence, lowerCase: spec.lowerCase)) {
            if ids.count >= room { break }
            if word == Words.start {
                ids.append(Int32(spec.startId))
            } else if word == Words.end {
                ids.append(Int32(spec.endId))
            } else {
                ids += pairs.split(word)
            }
        }
        var row = [Int32](repeating: Int32(spec.padId), count: spec.contextLength)
        row[0] = Int32(spec.startId)
        for (place, id) in ids.prefix(room).enumerated() { row[place + 1] = id }
        row[min(ids.count, room) + 1] = Int32(spec.endId)
        return row
    }

    private struct Merge {
        let left: [UInt8]
        let right: [UInt8]
    }

    private static func merges(at path: URL, name: String) throws -> [Merge] {
        guard let data = try? Data(contentsOf: path) else {
            throw BundleError("\(name) cannot be read; copy the bundle again")
        }
        var lines = Array(data).split(separator: 0x0A, omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return try lines.map { line in
            let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
            let blank = line.contains { $0 == 0x09 || $0 == 0x0D }
            guard parts.count == 2, !blank, !parts[0].isEmpty, !parts[1].isEmpty else {
                throw BundleError(
                    "\(name) is not a merges file: each line must hold two symbols; "
                        + "export it again")
            }
            return Merge(left: Array(parts[0]), right: Array(parts[1]))
        }
    }
}
