import Foundation

#if canImport(CryptoKit)
    import CryptoKit

    /// SHA-256 of bytes that come in parts.
    struct Sha256 {
        private var hash = SHA256()

        mutating func update(_ data: Data) {
            hash.update(data: data)
        }

        func hexadecimal() -> String {
            hexadecimalDigits(hash.finalize())
        }
    }
#else
    /// SHA-256 of bytes that come in parts (FIPS 180-4), where there is no CryptoKit.
    struct Sha256 {
        private var state = PlainSha256.start
        private var waiting: [UInt8] = []
        private var count: UInt64 = 0

        mutating func update(_ data: Data) {
            count += UInt64(data.count)
            waiting.append(contentsOf: data)
            state = PlainSha256.absorbed(&waiting, into: state)
        }

        func hexadecimal() -> String {
            var rest = waiting
            rest.append(0x80)
            while rest.count % 64 != 56 { rest.append(0) }
            let bits = count * 8
            for place in 0..<8 {
                rest.append(UInt8(truncatingIfNeeded: bits >> UInt64(56 - 8 * place)))
            }
            let words = PlainSha256.absorbed(&rest, into: state)
            return hexadecimalDigits(
                words.flatMap { word in
                    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> UInt32($0)) }
                })
        }
    }
#endif

private func hexadecimalDigits<Bytes: Sequence>(_ bytes: Bytes) -> String
where Bytes.Element == UInt8 {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
