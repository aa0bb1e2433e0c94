import Foundation

/// The milliseconds of many calls, by the same rules as on every other device.
public struct Timing: Encodable, Equatable {
    public static let leastRuns = 50
    public static let leastWarmUps = 10

    public let coldLoad: Double
    public let warmLoad: Double
    public let firstInference: Double
    public let p50: Double
    public let p90: Double
    public let p99: Double
    public let trimmedMean: Double
    public let runs: Int
    public let warmUps: Int
    public let milliseconds: [Double]

    enum CodingKeys: String, CodingKey {
        case coldLoad = "cold_load_ms"
        case warmLoad = "warm_load_ms"
        case firstInference = "first_inference_ms"
        case p50 = "p50_ms"
        case p90 = "p90_ms"
        case p99 = "p99_ms"
        case trimmedMean = "trimmed_mean_ms"
        case runs
        case warmUps = "warm_ups"
        case milliseconds
    }

    /// The figures of these runs.
    ///
    /// - Throws: `BundleError`: there are too few runs or warm-ups.
    public init(
        _ milliseconds: [Double], warmUps: Int, coldLoad: Double, warmLoad: Double,
        firstInference: Double
    ) throws {
        guard milliseconds.count >= Timing.leastRuns, warmUps >= Timing.leastWarmUps else {
            throw BundleError(
                "a latency needs \(Timing.leastWarmUps) warm-ups and \(Timing.leastRuns) runs; "
                    + "ask for more")
        }
        let kept = milliseconds.map { Figures.rounded($0) }
        self.milliseconds = kept
        self.warmUps = warmUps
        self.coldLoad = Figures.rounded(coldLoad)
        self.warmLoad = Figures.rounded(warmLoad)
        self.firstInference = Figures.rounded(firstInference)
        runs = kept.count
        p50 = Figures.percentile(kept, 0.5)
        p90 = Figures.percentile(kept, 0.9)
        p99 = Figures.percentile(kept, 0.99)
        trimmedMean = Figures.trimmedMean(kept)
    }
}

/// Some seconds of a sustained run.
public struct Slice: Encodable, Equatable {
    public let start: Double
    public let p50: Double
    public let runs: Int

    enum CodingKeys: String, CodingKey {
        case start = "start_s"
        case p50 = "p50_ms"
        case runs
    }
}

/// Calls without a pause, for long enough that a phone gets warm.
public struct SustainedRun: Encodable, Equatable {
    private static let sliceSeconds = 15.0
    private static let smallest = 1e-4

    public let seconds: Double
    public let slices: [Slice]
    public let slowDown: Double

    enum CodingKeys: String, CodingKey {
        case seconds
        case slices
        case slowDown = "slow_down"
    }

    /// - Parameter calls: when each began, in seconds since the first, and the milliseconds that
    ///   it took; at least one.
    public init(_ calls: [(start: Double, milliseconds: Double)]) {
        let bySlice = Dictionary(grouping: calls) { Int($0.start / SustainedRun.sliceSeconds) }
        slices = bySlice.sorted { $0.key < $1.key }.map { index, found in
            Slice(
                start: Double(index) * SustainedRun.sliceSeconds,
                p50: Figures.percentile(found.map { $0.milliseconds }, 0.5), runs: found.count)
        }
        let last = calls[calls.count - 1]
        seconds = Figures.rounded(last.start + last.milliseconds / 1e3, places: 1e3)
        // A clock too coarse for a tiny tower must not divide by zero.
        let ends = [slices[0], slices[slices.count - 1]].map { max($0.p50, SustainedRun.smallest) }
        slowDown = Figures.rounded(ends[1] / ends[0])
    }
}

enum Figures {
    /// To four places behind the point, unless others are asked for.
    static func rounded(_ value: Double, places: Double = 1e4) -> Double {
        (value * places).rounded(.toNearestOrEven) / places
    }

    /// The value below which a part of the runs lies, interpolated linearly.
    static func percentile(_ milliseconds: [Double], _ part: Double) -> Double {
        let sorted = milliseconds.sorted()
        let place = part * Double(sorted.count - 1)
        let below = Int(place)
        let above = min(below + 1, sorted.count - 1)
        return rounded(sorted[below] + (sorted[above] - sorted[below]) * (place - Double(below)))
    }

    /// Mean without a tenth at each end.
    static func trimmedMean(_ milliseconds: [Double]) -> Double {
        let cut = milliseconds.count / 10
        let kept = milliseconds.sorted().dropFirst(cut).dropLast(cut)
        return rounded(kept.reduce(0, +) / Double(kept.count))
    }
}
