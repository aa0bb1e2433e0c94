/// IEEE 754 numbers of 16 bits, rounded to the nearest and to even, as numpy rounds.
///
/// Not Swift's `Float16`, which Intel Macs lack.
enum Half {
    /// The value of every code.
    static let values: [Float] = (0..<(1 << 16)).map { value(UInt16($0)) }

    static func code(of value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
        let size = bits & 0x7FFF_FFFF
        if size > 0x7F80_0000 { return sign | 0x7E00 }
        if size >= 0x4780_0000 { return sign | 0x7C00 }
        if size >= 0x3880_0000 { return sign | shifted(size - 0x3800_0000, 13) }
        let exponent = size >> 23
        if exponent < 102 { return sign }
        return sign | shifted((size & 0x7F_FFFF) | 0x80_0000, 126 - exponent)
    }

    private static func value(_ code: UInt16) -> Float {
        let exponent = Int(code >> 10) & 31
        let fraction = Float(code & 1023)
        let size: Float
        if exponent == 31 {
            size = fraction == 0 ? .infinity : .nan
        } else if exponent == 0 {
            size = Float(sign: .plus, exponent: -24, significand: fraction)
        } else {
            size = Float(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
        }
        return code & 0x8000 == 0 ? size : -size
    }

    private static func shifted(_ value: UInt32, _ by: UInt32) -> UInt16 {
        let kept = value >> by
        let lost = value & ((1 << by) - 1)
        let middle: UInt32 = 1 << (by - 1)
        let up = lost > middle || (lost == middle && kept & 1 == 1)
        return UInt16(truncatingIfNeeded: up ? kept + 1 : kept)
    }
}
