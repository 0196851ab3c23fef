/// What it takes to write a model in other formats with `quern quantize`: memory, disk and time.
///
/// Tensors stream through slabs of 65,536 weights, a few per thread, so memory is the program, the tokenizer and the slabs
/// whatever the model's size.
public struct ConversionCost: Sendable {
  public let items: [FootprintItem]
  public var memoryBytes: Int { items.reduce(0) { $0 + $1.bytes } }
  /// Tensors, and the metadata that the source has; tokenizer files beside the weights are not counted.
  public let fileBytes: Int
  public let seconds: Double

  /// Nanoseconds of a thread per weight, reading, encoding by search and writing: 8 (Q8_0) to 13 (Q5_1) on a core of 2020.
  private static let nanosecondsPerWeight = 12.0
  private static let slabWeights = 1 << 16
  /// Code, libraries and what reading headers leaves on the heap.
  private static let programBytes = 17_500_000

  /// - Parameter model: as it shall become.
  public init(of model: ModelShape, threads: Int, profile: RuntimeProfile? = nil) throws(FootprintError) {
    let ours = if let profile { profile } else { try RuntimeProfile.named("quern") }
    let vocabulary = try model.input("vocabulary", "vocab_size")
    // As read, as floats and as written; two of each while one is waiting for the disk.
    let slab = Formula("weights of a slab", Self.slabWeights) * Formula("bytes", 10)
    items = [
      try FootprintItem(.overhead, "program", Formula("bytes", Self.programBytes)),
      try FootprintItem(.overhead, "tokenizer", vocabulary * Formula("bytes per token", ours.tokenizerBytesPerToken)),
      try FootprintItem(.compute, "slabs", Formula("threads", threads) * slab),
    ]
    let tensors = Formula.sum(model.tensors.map { Formula($0.name.text, $0.packed?.byteCount ?? $0.byteCount ?? 0) })
    fileBytes = try FootprintItem(.weights, "tensors", tensors).bytes + (model.fileOverheadByteCount ?? 0)
    seconds = Double(model.parameterCount) * Self.nanosecondsPerWeight * 1e-9 / Double(max(1, threads))
  }
}
