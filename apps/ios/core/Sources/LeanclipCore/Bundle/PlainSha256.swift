#if !canImport(CryptoKit)
    /// The compression function of SHA-256, whose constants are roots of the first primes.
    enum PlainSha256 {
        static let start: [UInt32] = primes.prefix(8).map { fraction(Double($0).squareRoot()) }

        private static let primes: [Int] = (2...311).filter { number in
            !(2..<number).contains { number % $0 == 0 }
        }

        private static let constants: [UInt32] = primes.map { cubeRootFraction(UInt64($0)) }

        private static func fraction(_ root: Double) -> UInt32 {
            UInt32((root - root.rounded(.down)) * 4_294_967_296)
        }

        /// The first 32 bits behind the point of a cube root, found by halving.
        private static func cubeRootFraction(_ prime: UInt64) -> UInt32 {
            var root: UInt64 = 0
            for bit in (0...35).reversed() {
                let tried = root | (UInt64(1) << UInt64(bit))
                if isAtMost(tried, prime) { root = tried }
            }
            return UInt32(truncatingIfNeeded: root)
        }

        /// Whether `(root / 2^32)^3` is at most `prime`, in whole numbers of 128 bits.
        private static func isAtMost(_ root: UInt64, _ prime: UInt64) -> Bool {
            let square = root.multipliedFullWidth(by: root)
            let low = square.low.multipliedFullWidth(by: root)
            let high = square.high.multipliedFullWidth(by: root)
            let (middle, carried) = high.low.addingReportingOverflow(low.high)
            let top = high.high + (carried ? 1 : 0)
            let limit = prime << 32
            return top == 0 && (middle < limit || (middle == limit && low.low == 0))
        }

        /// Takes whole blocks of 64 bytes off the front of `bytes`.
        static func absorbed(_ bytes: inout [UInt8], into state: [UInt32]) -> [UInt32] {
            var state = state
            let whole = bytes.count / 64 * 64
            for begin in stride(from: 0, to: whole, by: 64) {
                state = compressed(bytes, begin, state)
            }
            bytes.removeFirst(whole)
            return state
        }

        private static func compressed(
            _ bytes: [UInt8], _ begin: Int, _ state: [UInt32]
        ) -> [UInt32] {
            var words = [UInt32](repeating: 0, count: 64)
            for place in 0..<64 {
                if place < 16 {
                    for byte in 0..<4 {
                        words[place] = words[place] << 8 | UInt32(bytes[begin + 4 * place + byte])
                    }
                } else {
                    let (far, near) = (words[place - 15], words[place - 2])
                    let first = turned(far, 7) ^ turned(far, 18) ^ (far >> 3)
                    let second = turned(near, 17) ^ turned(near, 19) ^ (near >> 10)
                    words[place] = words[place - 16] &+ first &+ words[place - 7] &+ second
                }
            }
            var now = state
            for place in 0..<64 {
                let (a, e) = (now[0], now[4])
                let choice = (e & now[5]) ^ (~e & now[6])
                let majority = (a & now[1]) ^ (a & now[2]) ^ (now[1] & now[2])
                let first = now[7] &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice
                    &+ constants[place] &+ words[place]
                let second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ majority
                now = [
                    first &+ second, a, now[1], now[2], now[3] &+ first, e, now[5], now[6],
                ]
            }
            return zip(state, now).map { $0 &+ $1 }
        }

        private static func turned(_ word: UInt32, _ by: UInt32) -> UInt32 {
            word >> by | word << (32 - by)
        }
    }
#endif
