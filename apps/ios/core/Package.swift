// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Leanclip",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "LeanclipCore", targets: ["LeanclipCore"]),
        .library(name: "LeanclipApple", targets: ["LeanclipApple"]),
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
        .target(name: "LeanclipApple", dependencies: ["LeanclipCore"]),
        .testTarget(
            name: "LeanclipCoreTests",
            dependencies: ["LeanclipCore", "LeanclipApple"],
            resources: [.copy("Fixtures")]
        ),
    ]
)
