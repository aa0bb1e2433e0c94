/// The hardware.
public struct Device: Encodable {
    public let kind = "ios"
    public let maker = "Apple"
    public let model: String

    enum CodingKeys: String, CodingKey {
        case kind
        case maker
        case model
    }

    public init(model: String) {
        self.model = model
    }
}

/// Name and version of a system or a runtime.
public struct Versioned: Encodable {
    public let name: String
    public let version: String

    enum CodingKeys: String, CodingKey {
        case name
        case version
    }

    public init(name: String, version: String) {
        self.name = name
        self.version = version
    }
}

/// Which model was probed.
struct ProbedBundle: Encodable {
    let name: String
    let fingerprint: String

    enum CodingKeys: String, CodingKey {
        case name
        case fingerprint
    }
}

/// One tower file on one compute unit. There is no timing unless the golden check passed.
struct FileResult: Encodable {
    let tower: Tower
    let format: String
    let precision: String
    let file: String
    /// That of the bytes on this phone; the manifest's where they cannot be read.
    var sha256: String
    let runtime: Versioned
    var delegate: String
    var golden: GoldenVerdict?
    var timing: Timing?
    var sustained: SustainedRun?
    var peakMemory: Int?
    var thermalBefore: String?
    var thermalAfter: String?
    var reason: String?

    enum CodingKeys: String, CodingKey {
        case tower
        case format
        case precision
        case file
        case sha256
        case runtime
        case delegate
        case threads
        case golden
        case timing
        case sustained
        case peakMemory = "peak_memory_bytes"
        case thermalBefore = "thermal_before"
        case thermalAfter = "thermal_after"
        case reason
    }

    func encode(to encoder: Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(tower, forKey: .tower)
        try values.encode(format, forKey: .format)
        try values.encode(precision, forKey: .precision)
        try values.encode(file, forKey: .file)
        try values.encode(sha256, forKey: .sha256)
        try values.encode(runtime, forKey: .runtime)
        try values.encode(delegate, forKey: .delegate)
        // Core ML lets nobody choose.
        try values.encodeNil(forKey: .threads)
        // Null where there is none, since the schema asks for the key.
        try values.encode(golden, forKey: .golden)
        try values.encode(timing, forKey: .timing)
        try values.encode(sustained, forKey: .sustained)
        try values.encode(peakMemory, forKey: .peakMemory)
        try values.encode(thermalBefore, forKey: .thermalBefore)
        try values.encode(thermalAfter, forKey: .thermalAfter)
        try values.encode(reason, forKey: .reason)
    }
}

/// All that one probe of this phone found: `result.json`.
struct ProbeResult: Encodable {
    let schemaVersion = 1
    let leanclip: String
    let timestamp: String
    let device: Device
    let system: Versioned
    let bundle: ProbedBundle
    let files: [FileResult]

    enum CodingKeys: String, CodingKey {
        case schemaVersion = "schema_version"
        case leanclip
        case timestamp
        case device
        case system
        case bundle
        case files
    }
}
