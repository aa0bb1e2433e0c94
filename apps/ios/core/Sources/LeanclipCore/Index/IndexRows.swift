/// Which photo each row belongs to, and what is known of each photo.
struct IndexRows {
    private struct Known {
        let state: String
        let row: Int?
        let reason: String?
    }

    private var known: [String: Known] = [:]
    /// The photo of each row; nil is a tombstone.
    private var owners: [String?] = []
    private(set) var living = 0

    var count: Int { owners.count }

    var photos: Set<String> { Set(known.keys) }

    var unreadable: [String: String] { known.compactMapValues { $0.reason } }

    func state(of photo: String) -> String? { known[photo]?.state }

    func row(of photo: String) -> Int? { known[photo]?.row }

    func isLiving(_ row: Int) -> Bool { owners[row] != nil }

    /// The photo of a living row.
    func photo(at row: Int) -> String { owners[row]! }

    /// Whether an entry can follow, given how many vectors are on disk.
    func fits(_ entry: JournalEntry, stored: Int) -> Bool {
        switch entry.kind {
        case .gone: return true
        case .unreadable: return entry.state != nil && entry.reason != nil
        case .indexed: return entry.state != nil && entry.row == count && count < stored
        }
    }

    mutating func apply(_ entry: JournalEntry) {
        if let row = known[entry.photo]?.row {
            owners[row] = nil
            living -= 1
        }
        known[entry.photo] = nil
        guard entry.kind != .gone else { return }
        let state = entry.state ?? ""
        if entry.kind == .indexed {
            known[entry.photo] = Known(state: state, row: owners.count, reason: nil)
            owners.append(entry.photo)
            living += 1
        } else {
            known[entry.photo] = Known(state: state, row: nil, reason: entry.reason)
        }
    }

    /// The living rows in their order, and entries that say the same with rows counted anew.
    func compacted() -> (kept: [Int], entries: [JournalEntry]) {
        let kept = owners.indices.filter { owners[$0] != nil }
        var entries = kept.enumerated().map { place, row -> JournalEntry in
            let photo = owners[row]!
            return JournalEntry(
                kind: .indexed, photo: photo, state: known[photo]!.state, row: place)
        }
        for (photo, reason) in unreadable.sorted(by: { $0.key < $1.key }) {
            let state = known[photo]!.state
            entries.append(
                JournalEntry(kind: .unreadable, photo: photo, state: state, reason: reason))
        }
        return (kept, entries)
    }
}
