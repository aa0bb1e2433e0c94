import Foundation
import LeanclipApple
import LeanclipCore

/// Both towers of a bundle, after they passed their golden test, and the index of their space.
actor Engine {
    nonisolated let manifest: Manifest
    /// Which files run on which compute unit, and what failed before.
    nonisolated let details: [String]
    /// Where the index lies.
    nonisolated let folder: URL

    private let tokenizer: Tokenizer
    private let decoder: PhotoDecoder
    private let image: TowerChoice
    private let text: TowerChoice
    private let index: PhotoIndex

    /// Loads and tests the towers, which takes seconds: not for the main thread.
    ///
    /// - Throws: `BundleError`: the bundle is missing, damaged or fails.
    init() throws {
        let bundle = try ModelBundle(folder: Places.bundle())
        let tokenizer = try Tokenizer(bundle)
        let decoder = PhotoDecoder(bundle.manifest.preprocessing)
        let check = try GoldenCheck(bundle, tokenizer: tokenizer, decoder: decoder)
        let models = try Places.data("models")
        let runtime = CoreMLRuntime(compiled: models.appendingPathComponent("compiled"))
        let quarantine = Quarantine(
            models.appendingPathComponent("quarantine.json"), environment: Phone.environment)
        let image = try TowerChoice.of(
            .image, in: bundle, runtime: runtime, check: check, quarantine: quarantine)
        let text = try TowerChoice.of(
            .text, in: bundle, runtime: runtime, check: check, quarantine: quarantine)
        let folder = try Places.data("index").appendingPathComponent(bundle.manifest.fingerprint)
        index = try PhotoIndex(folder: folder, dim: bundle.manifest.embeddingDim)
        details = [image, text].flatMap { ["\($0.file.file) on \($0.unit)"] + $0.failures }
        manifest = bundle.manifest
        self.folder = folder
        self.tokenizer = tokenizer
        self.decoder = decoder
        self.image = image
        self.text = text
    }

    var count: Int { index.count }

    var unreadable: [String: String] { index.unreadable }

    /// Photos that fit a sentence, best first.
    func search(_ sentence: String, top: Int) throws -> [Match] {
        try index.search(text.tower.run(.ids(tokenizer.encode(sentence))), top: top)
    }

    /// Photos like one that is not in the library.
    func search(photo file: Data, top: Int) throws -> [Match] {
        try index.search(embedding(file), top: top)
    }

    /// Photos like one that is indexed, without itself.
    func similar(to photo: String, top: Int) throws -> [Match] {
        guard let vector = try index.vector(of: photo) else { return [] }
        return try index.search(vector, top: top + 1).filter { $0.photo != photo }
    }

    func knows(_ photo: String, state: String) -> Bool { index.knows(photo, state: state) }

    /// Adds a photo; a bad one is remembered with the reason and stops nothing.
    func add(_ photo: String, state: String, file: Data) {
        do {
            index.add(photo, state: state, vector: try embedding(file))
        } catch {
            index.addUnreadable(photo, state: state, reason: oneLine(error))
        }
    }

    /// Drops photos that are gone; takes effect with `commit`.
    func remove(_ photos: Set<String>) {
        for photo in photos { index.remove(photo) }
    }

    /// Drops all photos but those that are there.
    func keepOnly(_ present: Set<String>) {
        remove(index.photos.subtracting(present))
    }

    func commit() throws { try index.commit() }

    func compact() throws { try index.compactIfWorthwhile() }

    private func embedding(_ file: Data) throws -> [Float] {
        try autoreleasepool { try image.tower.run(.pixels(decoder.pixels(of: file))) }
    }
}
