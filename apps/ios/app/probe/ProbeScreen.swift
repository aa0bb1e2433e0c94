import Foundation
import LeanclipApple
import LeanclipCore
import SwiftUI
import UIKit

/// Makes the probe that `leanclip probe` started the app for.
struct ProbeScreen: View {
    let run: String

    @State private var status = "Preparing the probe"

    var body: some View {
        VStack(spacing: 16) {
            ProgressView()
            Text(status).multilineTextAlignment(.center)
            Text("Keep the phone unlocked and this app in front.")
                .font(.footnote)
                .foregroundStyle(.secondary)
        }
        .padding()
        .task {
            UIApplication.shared.isIdleTimerDisabled = true
            status = await probe()
            UIApplication.shared.isIdleTimerDisabled = false
        }
    }

    private func probe() async -> String {
        let name = run
        let told: @Sendable (String) -> Void = { file in
            Task { @MainActor in status = "Probing \(file)" }
        }
        return await Task.detached(priority: .userInitiated) {
            do {
                try ProbeScreen.makeProbe(name, told)
                return "The probe is done."
            } catch {
                return oneLine(error)
            }
        }.value
    }

    nonisolated private static func makeProbe(
        _ run: String, _ told: (String) -> Void
    ) throws {
        let folder = try ProbeFolder(documents: Places.documents, run: run)
        // Compiled anew each time, as a cold load is that of a model that is new to the phone.
        let compiled = FileManager.default.temporaryDirectory.appendingPathComponent(run)
        defer { try? FileManager.default.removeItem(at: compiled) }
        let probe = Probe(folder, phone: Phone(), runtime: CoreMLRuntime(compiled: compiled)) {
            PhotoDecoder($0)
        }
        try probe.run(version: Phone.version, progress: told)
    }
}
