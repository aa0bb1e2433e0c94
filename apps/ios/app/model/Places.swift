import Foundation
import LeanclipCore

/// Folders and files of the app.
enum Places {
    static let documents = FileManager.default.urls(for: .documentDirectory, in: .userDomainMask)[0]

    private static let support =
        FileManager.default.urls(for: .applicationSupportDirectory, in: .userDomainMask)[0]

    /// A bundle in Documents comes before the one that the app carries.
    ///
    /// - Throws: `BundleError`: there is neither.
    static func bundle() throws -> URL {
        let own = documents.appendingPathComponent("bundle")
        if FileManager.default.fileExists(atPath: own.path) { return own }
        if let carried = Bundle.main.url(forResource: "bundle", withExtension: nil) {
            return carried
        }
        throw BundleError(
            "there is no model: copy a bundle with Core ML files, as a folder named bundle, into "
                + "this app's documents with Finder or Files, then open the app again")
    }

    /// A folder of the app's own data, made if it is not there.
    static func data(_ name: String) throws -> URL {
        var folder = support.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        // Made again from the photos, so not worth a place in a backup.
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try folder.setResourceValues(values)
        return folder
    }
}
