#if canImport(CoreML)
    import CoreML
    import Foundation
    import LeanclipCore

    /// Loads `.mlpackage` files, each compiled once.
    public struct CoreMLRuntime: TowerRuntime {
        public let format = "coreml"
        public let units = ["ALL", "CPU_AND_GPU", "CPU_ONLY"]

        private let compiled: URL

        /// - Parameter compiled: a folder that keeps compiled models, by their hash.
        public init(compiled: URL) {
            self.compiled = compiled
        }

        public func load(_ file: TowerFile, at path: URL, unit: String) throws -> LoadedTower {
            guard let interface = file.interface else {
                throw BundleError("bundle.json does not say how \(file.file) is called")
            }
            let configuration = MLModelConfiguration()
            switch unit {
            case "ALL": configuration.computeUnits = .all
            case "CPU_AND_GPU": configuration.computeUnits = .cpuAndGPU
            default: configuration.computeUnits = .cpuOnly
            }
            let place = compiled.appendingPathComponent("\(file.sha256).mlmodelc")
            if FileManager.default.fileExists(atPath: place.path) {
                if let model = try? MLModel(contentsOf: place, configuration: configuration) {
                    return CoreMLTower(model, interface)
                }
                // Damaged, or of another system version: compile it anew.
                try FileManager.default.removeItem(at: place)
            }
            try FileManager.default.createDirectory(
                at: compiled, withIntermediateDirectories: true)
            let fresh = try MLModel.compileModel(at: path)
            try FileManager.default.moveItem(at: fresh, to: place)
            return CoreMLTower(
                try MLModel(contentsOf: place, configuration: configuration), interface)
        }
    }
#endif
