import SwiftUI

/// How far the run of indexing is, if there is one.
struct IndexingBar: View {
    @EnvironmentObject private var session: Session

    var body: some View {
        if let progress = session.progress {
            HStack(spacing: 12) {
                VStack(alignment: .leading, spacing: 4) {
                    Text(progress.waiting ?? "Indexing \(progress.done) of \(progress.total)")
                        .font(.footnote)
                    ProgressView(
                        value: Double(progress.done), total: Double(max(progress.total, 1)))
                }
                .accessibilityElement(children: .combine)
                if progress.waiting != nil {
                    Button("Go on") { session.overridden = true }.font(.footnote)
                }
                Button("Stop") { session.stopIndexing() }.font(.footnote)
            }
            .padding()
            .background(.bar)
        }
    }
}
