import LeanclipCore
import Photos
import SwiftUI

/// Photos that were found, best first.
struct PhotoGrid: View {
    let matches: [Match]

    /// Grows with the size of type that the user reads.
    @ScaledMetric private var side: CGFloat = 104

    var body: some View {
        ScrollView {
            LazyVGrid(columns: [GridItem(.adaptive(minimum: side), spacing: 2)], spacing: 2) {
                ForEach(Array(matches.enumerated()), id: \.element.photo) { place, match in
                    NavigationLink {
                        PhotoDetail(match: match)
                    } label: {
                        PhotoImage(photo: match.photo, side: side, filling: true)
                    }
                    .accessibilityLabel(label(match, place))
                    .accessibilityAddTraits(.isImage)
                }
            }
        }
    }

    private func label(_ match: Match, _ place: Int) -> String {
        let taken = PhotoLibrary.assets([match.photo]).first?.creationDate
        let date = taken.map { ", taken on " + $0.formatted(date: .long, time: .omitted) } ?? ""
        return "Photo \(place + 1) of \(matches.count)\(date)"
    }
}
