// swift-tools-version: 6.2
import PackageDescription

// The readers alone, instrumented for libFuzzer and AddressSanitizer: `make fuzz FORMAT=hdf5 SECONDS=60`.
// A package of its own, because instrumentation is for all of a package or none. `Library` is the product's Sources.

let instrumented = ["-sanitize=fuzzer,address"]

let settings: [SwiftSetting] = [
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .unsafeFlags(instrumented),
]

let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")

func layer(_ name: String, uses: [Target.Dependency], at path: String? = nil) -> Target {
  .target(name: name, dependencies: uses, path: "Library/" + (path ?? name), swiftSettings: settings)
}

let containers = [
  "Safetensors", "GGUF", "PyTorch", "NumPy", "ONNX", "HDF5", "WordVectors", "CTranslate2", "TensorFlow", "Flax",
  "MindSpore", "Paddle", "GGML",
]

let package = Package(
  name: "fuzz",
  dependencies: [
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
  ],
  targets: [
    .systemLibrary(name: "CZstd", path: "Library/CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLinux", path: "Library/CLinux"),
    layer("Bytes", uses: ["CLinux", "CZstd", system]),
    layer("IR", uses: ["Bytes", system]),
    layer("Archives", uses: ["Bytes", system]),
    layer("QuantizedWeights", uses: ["Bytes", "IR"]),
    layer("Tokenizers", uses: ["Bytes", "IR", heap]),
    .target(
      name: "FuzzedReaders",
      dependencies: ["Bytes", "IR", "QuantizedWeights", "Tokenizers", system]
        + containers.map { .init(stringLiteral: $0) },
      path: "Readers", swiftSettings: settings),
  ]
    + containers.map { layer($0, uses: ["Bytes", "IR", "Archives", system], at: "Containers/" + $0) }
    + [
      .executableTarget(
        name: "fuzz", dependencies: ["FuzzedReaders", system], path: "Harness",
        swiftSettings: settings,
        linkerSettings: [.unsafeFlags(instrumented + ["-use-ld=lld"])])
    ]
)
