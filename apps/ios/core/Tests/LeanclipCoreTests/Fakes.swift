import Foundation

@testable import LeanclipCore

/// Answers golden inputs with what the golden file expects of them.
struct FakeTower: LoadedTower {
    let golden: Golden
    let ids: [[Int32]]
    let pixels: [[UInt8]]
    /// Turns right answers into wrong ones.
    var change: ([Float]) -> [Float] = { $0 }

    func run(_ input: TowerInput) throws -> [Float] {
        switch input {
        case .ids(let found):
            guard let place = ids.firstIndex(of: found) else { throw BundleError("unknown ids") }
            return change(golden.sentences[place].embedding.map { Float($0) })
        case .pixels(let found):
            let place = pixels.firstIndex(of: found)
            let embedding = place.map { golden.photos[$0].embedding } ?? golden.pattern.embedding
            return change(embedding.map { Float($0) })
        }
    }
}

/// Paints each golden photo by its mean colours.
struct FakeDecoder: PhotoDecoding {
    let golden: Golden
    let size: Int

    func pixels(of file: Data) throws -> [UInt8] {
        let photo = golden.photos.first { $0.jpeg == file }!
        return (0..<(size * size * 3)).map { place in
            let (row, column) = (place / 3 / size, place / 3 % size)
            let field = photo.grid[row * photo.grid.count / size][
                column * photo.grid.count / size]
            return UInt8(field[place % 3].rounded())
        }
    }
}

/// Loads fake towers; what each compute unit makes of right answers is told.
struct FakeRuntime: TowerRuntime {
    let format = "coreml"
    let units: [String]
    let tower: FakeTower
    var changes: [String: ([Float]) -> [Float]] = [:]
    var broken: Set<String> = []

    func load(_ file: TowerFile, at path: URL, unit: String) throws -> LoadedTower {
        if broken.contains(unit) { throw BundleError("\(unit) cannot load it") }
        var loaded = tower
        loaded.change = changes[unit] ?? { $0 }
        return loaded
    }

    static func of(_ bundle: ModelBundle) throws -> FakeRuntime {
        let golden = try Golden.read(bundle)
        let decoder = FakeDecoder(golden: golden, size: bundle.manifest.preprocessing.size)
        let tower = FakeTower(
            golden: golden, ids: golden.sentences.map { $0.ids },
            pixels: try golden.photos.map { try decoder.pixels(of: $0.jpeg) })
        return FakeRuntime(units: ["ALL", "CPU_ONLY"], tower: tower)
    }
}

struct FakePhone: ProbedPhone {
    let device = Device(model: "Phone1,1")
    let system = Versioned(name: "iOS", version: "17.0")
    let runtime = Versioned(name: "coreml", version: "1")
    let thermal: String? = "nominal"
    let peakMemory: Int? = 1_000_000
}
