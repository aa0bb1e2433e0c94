import LeanclipCore
import Photos
import SwiftUI

/// One photo, how well it fits, and the way to others like it.
struct PhotoDetail: View {
    let match: Match

    @EnvironmentObject private var session: Session
    @Environment(\.dismiss) private var dismiss

    var body: some View {
        ScrollView {
            VStack(alignment: .leading, spacing: 16) {
                PhotoImage(photo: match.photo, side: 1200, filling: false)
                    .accessibilityLabel("The photo")
                VStack(alignment: .leading, spacing: 8) {
                    if let taken = PhotoLibrary.assets([match.photo]).first?.creationDate {
                        LabeledContent("Taken") { Text(taken, style: .date) }
                    }
                    LabeledContent("Similarity") {
                        Text(match.score, format: .number.precision(.fractionLength(3)))
                    }
                    Button {
                        Task {
                            await session.similar(to: match.photo)
                            dismiss()
                        }
                    } label: {
                        Label("Find similar photos", systemImage: "square.on.square")
                            .frame(maxWidth: .infinity)
                    }
                    .buttonStyle(.borderedProminent)
                    .padding(.top, 8)
                }
                .padding(.horizontal)
            }
        }
        .navigationTitle("Photo")
        .navigationBarTitleDisplayMode(.inline)
    }
}
