import Foundation

/// Whether the phone can spare the power to index.
enum Conditions {
    /// Why indexing waits; nil if it may go on.
    ///
    /// - Parameter overridden: the user wants it all the same; a phone that is about to shut
    ///   down is spared even then.
    static func reasonToWait(overridden: Bool) -> String? {
        let process = ProcessInfo.processInfo
        if process.thermalState == .critical { return "The phone is too hot." }
        if overridden { return nil }
        if process.thermalState == .serious { return "The phone is hot." }
        return process.isLowPowerModeEnabled ? "Low Power Mode is on." : nil
    }
}
