// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "LeanclipCore",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "LeanclipCore", targets: ["LeanclipCore"])
    ],
    targets: [
        .target(
            name: "LeanclipCore",
            // A link to the tables of the Android core: both read the same files.
            exclude: ["Tables/NOTICE"],
            resources: [
                .copy("Tables/unicode.txt"),
                .copy("Tables/entities.txt"),
                .copy("Tables/mojibake.txt"),
            ]
        ),
        .testTarget(
            name: "LeanclipCoreTests",
            dependencies: ["LeanclipCore"],
            resources: [.copy("Fixtures")]
        ),
    ]
)
