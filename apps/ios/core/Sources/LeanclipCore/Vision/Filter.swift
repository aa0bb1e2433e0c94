import Foundation

/// Shapes of the resizing filter.
public enum Filter: String, Decodable {
    case bilinear, bicubic, lanczos

    /// Distance beyond which it is zero, in pixels of the smaller picture.
    var support: Double {
        switch self {
        case .bilinear: return 1
        case .bicubic: return 2
        case .lanczos: return 3
        }
    }

    /// Weight at a distance.
    func at(_ x: Double) -> Double {
        let distance = abs(x)
        switch self {
        case .bilinear: return max(0, 1 - distance)
        case .bicubic: return Filter.cubic(distance)
        case .lanczos:
            return x >= -3 && x < 3 ? Filter.sinc(x) * Filter.sinc(x / 3) : 0
        }
    }

    private static func cubic(_ distance: Double) -> Double {
        let a = -0.5
        if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
        if distance < 2 { return (((distance - 5) * distance + 8) * distance - 4) * a }
        return 0
    }

    private static func sinc(_ x: Double) -> Double {
        x == 0 ? 1 : sin(x * Double.pi) / (x * Double.pi)
    }
}
