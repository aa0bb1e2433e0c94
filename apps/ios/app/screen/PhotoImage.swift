import Photos
import SwiftUI
import UIKit

/// One photo of the library, as large as it is shown.
struct PhotoImage: View {
    let photo: String
    let side: CGFloat
    /// Cut to a square, rather than shown whole.
    let filling: Bool

    @Environment(\.displayScale) private var scale
    @State private var image: UIImage?
    @State private var isGone = false

    var body: some View {
        ZStack {
            Rectangle().fill(.quaternary)
            if let image = image {
                Image(uiImage: image)
                    .resizable()
                    .aspectRatio(contentMode: filling ? .fill : .fit)
            } else if isGone {
                Image(systemName: "photo").foregroundStyle(.secondary)
            }
        }
        .frame(minWidth: 0, maxWidth: .infinity, minHeight: filling ? side : 0)
        .aspectRatio(filling ? 1 : nil, contentMode: .fit)
        .clipped()
        .contentShape(Rectangle())
        .task(id: photo) { await load() }
    }

    private func load() async {
        guard let asset = PhotoLibrary.assets([photo]).first else {
            isGone = true
            return
        }
        let options = PHImageRequestOptions()
        options.isNetworkAccessAllowed = !filling
        // One answer only, so that the continuation below is resumed once.
        options.deliveryMode = .highQualityFormat
        let target = CGSize(width: side * scale, height: side * scale)
        image = await withCheckedContinuation { continuation in
            PHImageManager.default().requestImage(
                for: asset, targetSize: target, contentMode: filling ? .aspectFill : .aspectFit,
                options: options
            ) { found, _ in
                continuation.resume(returning: found)
            }
        }
        isGone = image == nil
    }
}
