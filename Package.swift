// swift-tools-version: 6.2
import PackageDescription

// The targets are the layers of ARCHITECTURE.md; an arrow may only point to a lower row. Build with
// `--explicit-target-dependency-import-check error` (the Makefile does) and the compiler enforces it.

let safe: [SwiftSetting] = [
  .strictMemorySafety(),
  .treatWarning("StrictMemorySafety", as: .error),
  .enableExperimentalFeature("Lifetimes"),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

// A debug build of the kernels would run some fifty times slower than the tests can bear.
let optimized: [CSetting] = [.unsafeFlags(["-O3"])]

func layer(_ name: String, uses: [Target.Dependency] = [], at path: String? = nil) -> Target {
  .target(name: name, dependencies: uses, path: path, swiftSettings: safe)
}

func tests(of name: String, uses: [Target.Dependency] = []) -> Target {
  .testTarget(name: name + "Tests", dependencies: [.init(stringLiteral: name)] + uses, swiftSettings: safe)
}

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")

let package = Package(
  name: "quern",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
  ],
  targets: [
    // 0: C and data
    .target(name: "CKernels", cSettings: optimized),
    .target(name: "CFormats", path: "Formats", exclude: ["Specs"], cSettings: [.unsafeFlags(["-std=c23"])]),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CLinux"),
    // 1–2: bytes and the intermediate representation
    layer("Bytes", uses: ["CLinux", "CZstd", system]),
    layer("IR", uses: ["Bytes"]),
    layer("Archives", uses: ["Bytes", system]),
    // 3: kernels, containers, tokenizers, descriptors
    layer("Kernels", uses: ["CKernels"]),
    layer("Safetensors", uses: ["Bytes", "IR", "Archives"], at: "Sources/Containers/Safetensors"),
    layer("GGUF", uses: ["Bytes", "IR"], at: "Sources/Containers/GGUF"),
    layer("PyTorch", uses: ["Bytes", "IR", "Archives"], at: "Sources/Containers/PyTorch"),
    layer("NumPy", uses: ["Bytes", "IR", "Archives"], at: "Sources/Containers/NumPy"),
    layer("ONNX", uses: ["Bytes", "IR", "Archives", system], at: "Sources/Containers/ONNX"),
    layer("HDF5", uses: ["Bytes", "IR", "Archives", system], at: "Sources/Containers/HDF5"),
    layer("WordVectors", uses: ["Bytes", "IR", system], at: "Sources/Containers/WordVectors"),
    layer("CTranslate2", uses: ["Bytes", "IR", system], at: "Sources/Containers/CTranslate2"),
    layer("TensorFlow", uses: ["Bytes", "IR", "Archives", system], at: "Sources/Containers/TensorFlow"),
    layer("Flax", uses: ["Bytes", "IR", system], at: "Sources/Containers/Flax"),
    layer("MindSpore", uses: ["Bytes", "IR", "Archives", system], at: "Sources/Containers/MindSpore"),
    layer("Paddle", uses: ["Bytes", "IR", "Archives", system], at: "Sources/Containers/Paddle"),
    layer("GGML", uses: ["Bytes", "IR", system], at: "Sources/Containers/GGML"),
    layer("QuantizedWeights", uses: ["Bytes", "IR"]),
    layer("Tokenizers", uses: ["Bytes", "IR", heap]),
    layer("Catalog", uses: ["CFormats", "Bytes", "IR"]),
    // 4
    layer("Codecs", uses: ["IR", "Kernels", "CKernels"]),
    // 5–6
    layer("Passes", uses: ["Bytes", "IR", "Codecs", "Catalog", "Kernels"]),
    layer("Footprint", uses: ["Bytes", "IR", "Catalog"]),
    layer("Calibration", uses: ["Bytes", "IR", "Kernels", "Codecs", "Catalog", "Passes", "Runtime"]),
    layer("Runtime", uses: ["Bytes", "IR", "Kernels", "Codecs", "Catalog"]),
    // 7
    layer(
      "Conversion",
      uses: [
        "Bytes", "IR", "Safetensors", "GGUF", "PyTorch", "NumPy", "ONNX", "HDF5", "WordVectors", "CTranslate2",
        "TensorFlow", "Flax", "MindSpore", "Paddle", "GGML", "QuantizedWeights", "Tokenizers", "Catalog", "Codecs",
        "Passes",
        "Kernels", "Calibration", system,
      ]),
    layer("Verification", uses: ["Bytes", "IR", "Runtime", "Codecs", "Kernels", "Tokenizers"]),
    // 8
    .executableTarget(
      name: "quern",
      dependencies: [
        "Bytes", "IR", "Kernels", "Codecs", "Tokenizers", "Catalog", "Passes", "Conversion", "Footprint", "Runtime",
        "Verification", "Calibration", "Safetensors", "GGUF", argumentParser,
      ],
      swiftSettings: safe),

    tests(of: "Bytes"),
    tests(of: "Archives", uses: ["Bytes", "ContainerTesting", system]),
    // What is fuzzed, shared with the nested package Tests/Fuzz, so that findings are read again by every test run.
    layer(
      "FuzzedReaders",
      uses: [
        "Bytes", "IR", "Safetensors", "GGUF", "PyTorch", "NumPy", "ONNX", "HDF5", "WordVectors", "CTranslate2",
        "TensorFlow", "Flax", "MindSpore", "Paddle", "GGML", "QuantizedWeights", "Tokenizers", system,
      ], at: "Tests/Fuzz/Readers"),
    .testTarget(
      name: "FindingsTests", dependencies: ["FuzzedReaders", "Bytes", "ContainerTesting", system], swiftSettings: safe),
    layer("ContainerTesting", uses: ["Bytes", "IR", system], at: "Tests/ContainerTesting"),
    tests(of: "Safetensors", uses: ["Bytes", "IR", "ContainerTesting", system]),
    tests(of: "GGUF", uses: ["Bytes", "IR", "ContainerTesting", system]),
    tests(of: "PyTorch", uses: ["Bytes", "IR", "Archives", "ContainerTesting", system]),
    tests(of: "NumPy", uses: ["Bytes", "IR", "ContainerTesting", system]),
    tests(of: "Kernels", uses: ["CKernels"]),
    tests(of: "Codecs", uses: ["IR", "Bytes", "Kernels", "CKernels"]),
    tests(of: "Catalog", uses: ["Bytes", "IR", "ContainerTesting", system]),
    tests(of: "Footprint", uses: ["Bytes", "IR", "Catalog", system]),
    layer(
      "ModelTesting", uses: ["ContainerTesting", "Catalog", "Conversion", "Kernels", "Passes", system],
      at: "Tests/ModelTesting"),
    tests(of: "IR", uses: ["Bytes"]),
    tests(of: "Passes", uses: ["Bytes", "IR", "Kernels", "ContainerTesting", system]),
    tests(
      of: "Runtime",
      uses: [
        "Bytes", "IR", "Kernels", "Catalog", "Passes", "Conversion", "Safetensors", "ContainerTesting", "ModelTesting",
        system,
      ]),
    tests(
      of: "Conversion",
      uses: [
        "Bytes", "IR", "Kernels", "Catalog", "Passes", "Codecs", "GGUF", "ContainerTesting", "ModelTesting", system,
      ]),
    .testTarget(
      name: "CommandTests", dependencies: ["quern", "Bytes", "IR", "Kernels", "ContainerTesting", system],
      swiftSettings: safe),
    tests(
      of: "Calibration",
      uses: [
        "Bytes", "IR", "Kernels", "Catalog", "Passes", "Codecs", "Runtime", "Verification", "Tokenizers", "Conversion",
        "GGUF", "ContainerTesting", "ModelTesting", system,
      ]),
    tests(of: "Tokenizers", uses: ["Bytes", "IR", system]),
  ]
)
