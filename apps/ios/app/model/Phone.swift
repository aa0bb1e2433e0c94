import Darwin
import Foundation
import LeanclipCore

/// What this phone says of itself.
struct Phone: ProbedPhone {
    /// What the verdict on a compute unit depends on.
    static var environment: String {
        "\(identifier) \(ProcessInfo.processInfo.operatingSystemVersionString) \(version)"
    }

    /// Of the app.
    static var version: String {
        Bundle.main.infoDictionary?["CFBundleShortVersionString"] as? String ?? "unknown"
    }

    /// Such as `iPhone15,2`.
    private static var identifier: String {
        var system = utsname()
        uname(&system)
        return withUnsafeBytes(of: &system.machine) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }

    private static var systemVersion: String {
        let version = ProcessInfo.processInfo.operatingSystemVersion
        return "\(version.majorVersion).\(version.minorVersion).\(version.patchVersion)"
    }

    var device: Device { Device(model: Phone.identifier) }

    var system: Versioned {
        let name = Phone.identifier.hasPrefix("iPad") ? "iPadOS" : "iOS"
        return Versioned(name: name, version: Phone.systemVersion)
    }

    /// Core ML comes with the system and has no version of its own.
    var runtime: Versioned { Versioned(name: "coreml", version: Phone.systemVersion) }

    var thermal: String? {
        switch ProcessInfo.processInfo.thermalState {
        case .nominal: return "nominal"
        case .fair: return "fair"
        case .serious: return "serious"
        case .critical: return "critical"
        @unknown default: return nil
        }
    }

    var peakMemory: Int? {
        var usage = rusage()
        guard getrusage(RUSAGE_SELF, &usage) == 0, usage.ru_maxrss > 0 else { return nil }
        return Int(usage.ru_maxrss)
    }
}
