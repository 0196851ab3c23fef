public import IR

/// What a model shall be used for.
public struct FootprintRequest: Sendable {
  /// Tokens per sequence that the KV cache has room for.
  public var context: Int
  /// Sequences at once.
  public var batch: Int
  public var keyFormat: BlockFormat
  public var valueFormat: BlockFormat

  public init(context: Int, batch: Int = 1, keyFormat: BlockFormat = .f16, valueFormat: BlockFormat = .f16) {
    self.context = context
    self.batch = batch
    self.keyFormat = keyFormat
    self.valueFormat = valueFormat
  }

  /// Types that KV caches come in.
  public static let cacheFormats: [BlockFormat] = [.f32, .f16, .bf16, .q8_0, .q5_1, .q5_0, .q4_1, .q4_0, .iq4_NL]

  /// Far above any use, far below what could overflow.
  public static let longestContext = 1 << 32
  public static let largestBatch = 1 << 20

  func checked() throws(FootprintError) {
    guard (1...Self.longestContext).contains(context) else {
      throw .unsupported(what: "a context of \(context) tokens", known: ["1 to \(Self.longestContext)"])
    }
    guard (1...Self.largestBatch).contains(batch) else {
      throw .unsupported(what: "a batch of \(batch) sequences", known: ["1 to \(Self.largestBatch)"])
    }
    for format in [keyFormat, valueFormat] where !Self.cacheFormats.contains(format) {
      throw .unsupported(what: "a KV cache of type \(format.name)", known: Self.cacheFormats.map(\.name))
    }
  }
}
