/// The joining of one word's pieces: a heap of places and a linked list, so that a word of a
/// million letters ends too.
struct Merging {
    private static let gone: Int32 = -1

    private var pieces: [Int32]
    private var before: [Int]
    private var after: [Int]
    private var heap = PlaceHeap()

    init(pieces: [Int32]) {
        self.pieces = pieces
        before = Array(-1..<(pieces.count - 1))
        after = Array(1..<(pieces.count + 1))
    }

    /// Joins until no rule fits any more.
    ///
    /// - Parameter rule: rank and result of a pair.
    mutating func run(_ rule: (Int32, Int32) -> (rank: Int, joined: Int32)?) -> [Int32] {
        for place in pieces.indices { push(place, rule) }
        while let lowest = heap.lowestRank {
            // All places of one pair are joined before the next pair is looked for.
            var places: [Int] = []
            while heap.lowestRank == lowest { places.append(heap.pop()) }
            for left in places {
                guard let found = match(left, rule), found.rank == lowest else { continue }
                join(left, found.joined)
                push(before[left], rule)
                push(left, rule)
            }
        }
        return pieces.filter { $0 != Merging.gone }
    }

    private mutating func join(_ left: Int, _ joined: Int32) {
        let right = after[left]
        pieces[left] = joined
        pieces[right] = Merging.gone
        after[left] = after[right]
        if after[left] < pieces.count { before[after[left]] = left }
    }

    private mutating func push(
        _ left: Int, _ rule: (Int32, Int32) -> (rank: Int, joined: Int32)?
    ) {
        if let found = match(left, rule) { heap.push(rank: found.rank, place: left) }
    }

    private func match(
        _ left: Int, _ rule: (Int32, Int32) -> (rank: Int, joined: Int32)?
    ) -> (rank: Int, joined: Int32)? {
        guard left >= 0, pieces[left] != Merging.gone, after[left] < pieces.count else {
            return nil
        }
        return rule(pieces[left], pieces[after[left]])
    }
}

/// Places in a word by the rank of the pair that begins there, lowest first, then leftmost.
private struct PlaceHeap {
    private var keys: [UInt64] = []

    var lowestRank: Int? { keys.first.map { Int($0 >> 32) } }

    mutating func push(rank: Int, place: Int) {
        keys.append(UInt64(rank) << 32 | UInt64(place))
        var child = keys.count - 1
        while child > 0, keys[child] < keys[(child - 1) / 2] {
            keys.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// The heap must not be empty.
    mutating func pop() -> Int {
        let top = keys[0]
        let last = keys.removeLast()
        if !keys.isEmpty {
            keys[0] = last
            sink()
        }
        return Int(top & 0xFFFF_FFFF)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < keys.count && keys[child] < keys[least] {
                least = child
            }
            if least == parent { return }
            keys.swapAt(parent, least)
            parent = least
        }
    }
}
