import Foundation
import Photos

/// The phone's photos, as PhotoKit has them.
enum PhotoLibrary {
    /// What differs from the library that was last indexed.
    struct Changes {
        /// Photos to look at.
        let assets: [PHAsset]
        /// All photos that are there; nil where only `removed` is known.
        let present: Set<String>?
        let removed: Set<String>
        /// Where to go on next time.
        let token: PHPersistentChangeToken
    }

    /// Asks for leave to read photos, unless that was answered before.
    static func mayRead() async -> Bool {
        let status = await PHPhotoLibrary.requestAuthorization(for: .readWrite)
        return status == .authorized || status == .limited
    }

    /// Whether the app may read every photo. A choice of some of them is no part of the history.
    static var seesAll: Bool {
        PHPhotoLibrary.authorizationStatus(for: .readWrite) == .authorized
    }

    /// What changed since a token; everything without one, or where it is too old.
    static func changes(since token: PHPersistentChangeToken?) -> Changes {
        let now = PHPhotoLibrary.shared().currentChangeToken
        if let token = token, seesAll, let found = try? difference(since: token, until: now) {
            return found
        }
        let all = listed(PHAsset.fetchAssets(with: .image, options: newestFirst()))
        return Changes(
            assets: all, present: Set(all.map { $0.localIdentifier }), removed: [], token: now)
    }

    /// What tells this state of a photo from another.
    static func state(_ asset: PHAsset) -> String {
        let changed = asset.modificationDate?.timeIntervalSince1970 ?? 0
        return "\(changed) \(asset.pixelWidth)x\(asset.pixelHeight)"
    }

    /// Photos by their identifiers, in that order; those that are gone are left out.
    static func assets(_ identifiers: [String]) -> [PHAsset] {
        let found = listed(
            PHAsset.fetchAssets(withLocalIdentifiers: identifiers, options: nil))
        let byIdentifier = Dictionary(
            found.map { ($0.localIdentifier, $0) }, uniquingKeysWith: { first, _ in first })
        return identifiers.compactMap { byIdentifier[$0] }
    }

    /// The file of a photo, with edits; nil if it lies in iCloud only and may not be fetched.
    ///
    /// Waits for it, so not for the main thread.
    static func file(_ asset: PHAsset, fetching: Bool) -> Data? {
        let options = PHImageRequestOptions()
        options.isSynchronous = true
        options.isNetworkAccessAllowed = fetching
        options.deliveryMode = .highQualityFormat
        options.version = .current
        var found: Data?
        PHImageManager.default().requestImageDataAndOrientation(for: asset, options: options) {
            data, _, _, _ in found = data
        }
        return found
    }

    private static func difference(
        since token: PHPersistentChangeToken, until now: PHPersistentChangeToken
    ) throws -> Changes {
        var changed = Set<String>()
        var removed = Set<String>()
        for change in try PHPhotoLibrary.shared().fetchPersistentChanges(since: token) {
            let found: PHPersistentObjectChangeDetails? = try change.changeDetails(for: .asset)
            guard let details = found else { continue }
            let alive = details.insertedLocalIdentifiers.union(details.updatedLocalIdentifiers)
            changed.formUnion(alive)
            removed.subtract(alive)
            changed.subtract(details.deletedLocalIdentifiers)
            removed.formUnion(details.deletedLocalIdentifiers)
        }
        let photos = assets(Array(changed)).filter { $0.mediaType == .image }
        // Whatever was changed into something that is no photo any more, or was hidden.
        removed.formUnion(changed.subtracting(photos.map { $0.localIdentifier }))
        return Changes(assets: photos, present: nil, removed: removed, token: now)
    }

    private static func newestFirst() -> PHFetchOptions {
        let options = PHFetchOptions()
        options.sortDescriptors = [NSSortDescriptor(key: "creationDate", ascending: false)]
        return options
    }

    private static func listed(_ result: PHFetchResult<PHAsset>) -> [PHAsset] {
        result.objects(at: IndexSet(integersIn: 0..<result.count))
    }
}
