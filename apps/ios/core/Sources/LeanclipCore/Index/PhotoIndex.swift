import Foundation

/// A photo that was found.
public struct Match: Equatable {
    public let photo: String
    /// Cosine of photo and query.
    public let score: Float
}

/// Which photos were indexed, and their vectors.
///
/// Vectors lie in one fp16 file; a journal beside it says which row is which photo, and which
/// photos could not be read. A photo that changed gets a new row, one that vanished leaves a
/// tombstone; `compact` writes what is left anew. What was committed survives a crash at any
/// moment; what was not is indexed again. Not safe for several threads: an actor keeps it.
public final class PhotoIndex {
    private static let few = 256

    private let dim: Int
    private var generations: Generations
    private var rows: IndexRows
    private var vectors: VectorFile
    private var journal: Journal
    private var waitingVectors: [[UInt16]] = []
    private var waitingEntries: [JournalEntry] = []

    /// Opens the index of one embedding space, or makes an empty one.
    ///
    /// - Parameter folder: of its own for each bundle fingerprint, so that vectors never mix.
    public init(folder: URL, dim: Int) throws {
        self.dim = dim
        generations = try Generations(folder)
        (vectors, journal, rows) = try PhotoIndex.opened(generations.current, dim)
    }

    /// Photos that can be found.
    public var count: Int { rows.living }

    /// Rows of photos that changed or vanished.
    public var tombstones: Int { rows.count - rows.living }

    /// Why photos could not be read.
    public var unreadable: [String: String] { rows.unreadable }

    /// Every photo that is known, indexed or found unreadable.
    public var photos: Set<String> { rows.photos }

    /// Whether this very state of a photo is known: indexed, or found unreadable.
    public func knows(_ photo: String, state: String) -> Bool {
        rows.state(of: photo) == state
    }

    /// Adds a photo, or replaces it; takes effect with `commit`.
    public func add(_ photo: String, state: String, vector: [Float]) {
        precondition(vector.count == dim, "a vector of another size than the index")
        note(JournalEntry(kind: .indexed, photo: photo, state: state, row: rows.count))
        waitingVectors.append(vector.map(Half.code))
    }

    /// Remembers that a photo cannot be read, so that it is not tried again until it changes.
    public func addUnreadable(_ photo: String, state: String, reason: String) {
        note(JournalEntry(kind: .unreadable, photo: photo, state: state, reason: reason))
    }

    /// Drops a photo that is not there any more; takes effect with `commit`.
    public func remove(_ photo: String) {
        if rows.photos.contains(photo) { note(JournalEntry(kind: .gone, photo: photo)) }
    }

    /// Makes what was added and dropped since the last commit last: first rows, then journal.
    public func commit() throws {
        guard !waitingEntries.isEmpty else { return }
        try vectors.append(at: rows.count - waitingVectors.count, waitingVectors)
        try journal.append(try waitingEntries.map(PhotoIndex.line))
        waitingVectors = []
        waitingEntries = []
    }

    /// The vector of a photo, to search for similar ones; nil if it has none.
    public func vector(of photo: String) throws -> [Float]? {
        guard let row = rows.row(of: photo) else { return nil }
        let committed = rows.count - waitingVectors.count
        let codes = row < committed ? try vectors.row(row) : waitingVectors[row - committed]
        return codes.map { Half.values[Int($0)] }
    }

    /// The committed photos nearest to a query, best first; of equal ones, the earlier indexed.
    ///
    /// - Parameter query: of length one.
    public func search(_ query: [Float], top: Int) throws -> [Match] {
        precondition(query.count == dim, "a query of another size than the index")
        let scores = try vectors.scores(query, rows: rows.count - waitingVectors.count)
        let living = scores.indices.filter { rows.isLiving($0) && !scores[$0].isNaN }
        let best = living.sorted { one, other in
            scores[one] != scores[other] ? scores[one] > scores[other] : one < other
        }
        return best.prefix(top).map { Match(photo: rows.photo(at: $0), score: scores[$0]) }
    }

    /// Compacts where more rows are dead than alive; few are not worth the writing.
    public func compactIfWorthwhile() throws {
        if tombstones >= PhotoIndex.few && tombstones >= count { try compact() }
    }

    /// Writes the living rows into a new generation, then drops the old one.
    public func compact() throws {
        try commit()
        let next = try generations.begin()
        let living = rows.compacted()
        let target = try VectorFile(PhotoIndex.vectorsPath(next), dim: dim)
        let written = try Journal(PhotoIndex.journalPath(next))
        for start in stride(from: 0, to: living.kept.count, by: PhotoIndex.few) {
            let part = living.kept[start..<min(start + PhotoIndex.few, living.kept.count)]
            try target.append(at: start, try part.map { try vectors.row($0) })
        }
        try written.append(
            [PhotoIndex.header(dim)] + (try living.entries.map(PhotoIndex.line)))
        try generations.finish(next)
        (vectors, journal, rows) = try PhotoIndex.opened(generations.current, dim)
    }

    private func note(_ entry: JournalEntry) {
        rows.apply(entry)
        waitingEntries.append(entry)
    }

    /// Reads the journal; its first line that makes no sense ends it.
    private static func opened(
        _ folder: URL, _ dim: Int
    ) throws -> (VectorFile, Journal, IndexRows) {
        let vectors = try VectorFile(vectorsPath(folder), dim: dim)
        let journal = try Journal(journalPath(folder))
        let stored = try vectors.rows()
        var rows = IndexRows()
        var whole = 0
        if journal.lines.first == header(dim) {
            whole = 1
            for line in journal.lines.dropFirst() {
                let entry = try? JSONDecoder().decode(JournalEntry.self, from: Data(line.utf8))
                guard let entry = entry, rows.fits(entry, stored: stored) else { break }
                rows.apply(entry)
                whole += 1
            }
        }
        try journal.keep(whole)
        try vectors.keep(rows.count)
        if whole == 0 { try journal.append([header(dim)]) }
        return (vectors, journal, rows)
    }

    private static func vectorsPath(_ folder: URL) -> URL {
        folder.appendingPathComponent("vectors.f16")
    }

    private static func journalPath(_ folder: URL) -> URL {
        folder.appendingPathComponent("journal.txt")
    }

    private static func header(_ dim: Int) -> String { "leanclip-index 1 \(dim)" }

    private static func line(_ entry: JournalEntry) throws -> String {
        String(decoding: try JSONEncoder().encode(entry), as: UTF8.self)
    }
}
