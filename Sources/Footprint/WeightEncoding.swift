public import IR

/// One matrix as a GPU library keeps it in plain tensors: codes, scales, zero points, indices.
public struct PackedEncoding: Hashable, Sendable {
  /// The library's name first: `GPTQ int4, groups of 128`.
  public let kind: String
  /// Whole bits of a code.
  public let bits: Int
  /// Of everything.
  public let byteCount: Int

  public init(kind: String, bits: Int, byteCount: Int) {
    self.kind = kind
    self.bits = bits
    self.byteCount = byteCount
  }

  /// `gptq`, `awq`, `compressed-tensors`, `bitsandbytes`.
  var library: String { kind.lowercased().split(separator: " ").first.map(String.init) ?? "" }
  var encoding: WeightEncoding { WeightEncoding(packed: kind, bits: bits) }
}

/// How a weight is held in memory: a file's block format, or what another runtime makes of it.
public struct WeightEncoding: Hashable, Sendable {
  public let name: String
  public let elementsPerBlock: Int
  public let bytesPerBlock: Int
  /// Beside the blocks: a scale per output row.
  public let bytesPerRow: Int
  /// What is beside the blocks, in words; nil for padding alone.
  let rest: String?

  public init(_ format: BlockFormat) {
    self.init(format.name, elements: format.elementsPerBlock, bytes: format.bytesPerBlock)
  }

  /// Codes of a library's; the rest is told with the matrix.
  init(packed kind: String, bits: Int) {
    self.init(kind, elements: 8, bytes: bits, rest: "scales, zero points and indices")
  }

  private init(_ name: String, elements: Int, bytes: Int, perRow: Int = 0, rest: String? = nil) {
    self.rest = rest ?? (perRow > 0 ? "row scales" : nil)
    self.name = name
    elementsPerBlock = elements
    bytesPerBlock = bytes
    bytesPerRow = perRow
  }

  /// Groups of 128 with an FP16 scale and a zero point of the weight's own width.
  public static let gptqInt8 = WeightEncoding("GPTQ-Int8", elements: 128, bytes: 128 + 2 + 1)
  /// As GPTQ; two groups, so that the zero points fill a byte.
  public static let awqInt4 = WeightEncoding("AWQ-Int4", elements: 256, bytes: 128 + 2 * 2 + 1)
  /// ChatGLM's own: symmetric, one FP16 scale per output row.
  public static let rowInt8 = WeightEncoding("row-Int8", elements: 1, bytes: 1, perRow: 2)
  public static let rowInt4 = WeightEncoding("row-Int4", elements: 2, bytes: 1, perRow: 2)
  /// bitsandbytes NF4, blocks of 64 whose scales are themselves 8-bit (QLoRA). The FP32 per 256 blocks, 0.05 % of the
  /// whole, is left out: blocks run on over rows, so it belongs to none.
  public static let nf4 = WeightEncoding("NF4", elements: 64, bytes: 32 + 1)

  public static let all: [WeightEncoding] =
    [gptqInt8, awqInt4, rowInt8, rowInt4, nf4] + BlockFormat.all.map { WeightEncoding($0) }

  /// Fewer bits than a number that processors compute with, or a scale to multiply with.
  var isPacked: Bool { isGGUF ? BlockFormat.named(name)?.kind == .packed : true }

  /// One of the file formats' own.
  var isGGUF: Bool { BlockFormat.named(name) != nil }

  /// One that no file format has, by its name in any case.
  /// - Throws: `unsupported` with the names there are.
  public static func named(_ name: String) throws(FootprintError) -> WeightEncoding {
    let runtimes = [gptqInt8, awqInt4, rowInt8, rowInt4, nf4]
    guard let match = runtimes.first(where: { $0.name.lowercased() == name.lowercased() }) else {
      throw .unsupported(what: "a weight encoding called '\(name)'", known: runtimes.map { $0.name.lowercased() })
    }
    return match
  }

  /// Rows × blocks per row × bytes per block, every row padded to whole blocks.
  func formula(rows: Formula, columns: Int) -> Formula {
    let perRow = Formula("columns", columns).divided(by: elementsPerBlock) * Formula("\(name) bytes", bytesPerBlock)
    return rows * (bytesPerRow == 0 ? perRow : perRow + Formula("scale bytes", bytesPerRow))
  }
}
