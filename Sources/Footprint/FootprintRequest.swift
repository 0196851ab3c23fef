public import IR

/// What a model shall be used for, and by which runtime.
public struct FootprintRequest: Sendable {
  /// Tokens per sequence that the KV cache has room for: prompt and answer.
  public var context: Int
  /// Tokens of the longest prompt; nil for the whole context.
  public var promptTokens: Int?
  /// Sequences at once.
  public var batch: Int
  public var keyFormat: BlockFormat
  public var valueFormat: BlockFormat
  /// Nil for our own runtime.
  public var profile: RuntimeProfile?
  /// Tokens of a prompt computed at a time, and whether attention scores are never stored; nil for the profile's own.
  public var microBatch: Int?
  public var flashAttention: Bool?
  /// Training instead of running; the profile does not matter then.
  public var training: TrainingRequest?
  /// What it shall run on, whose driver takes its share; nil for a processor's own memory.
  public var device: Device?
  /// Only a part of the model on the device; llama.cpp alone can do that.
  public var offload: Offload?

  public init(
    context: Int, batch: Int = 1, keyFormat: BlockFormat = .f16, valueFormat: BlockFormat = .f16,
    profile: RuntimeProfile? = nil
  ) {
    self.context = context
    self.batch = batch
    self.keyFormat = keyFormat
    self.valueFormat = valueFormat
    self.profile = profile
  }

  /// Far above any use, far below what could overflow.
  public static let longestContext = 1 << 32
  public static let largestBatch = 1 << 20

  func checked(_ profile: RuntimeProfile) throws(FootprintError) {
    try Self.check("a context", "tokens", context, within: 1...Self.longestContext)
    try Self.check("a batch", "sequences", batch, within: 1...Self.largestBatch)
    if let promptTokens { try Self.check("a prompt", "tokens", promptTokens, within: 1...context) }
    if let microBatch { try Self.check("a micro-batch", "tokens", microBatch, within: 1...Self.longestContext) }
    guard offload == nil || profile.law == .llamaCpp else {
      throw .unsupported(
        what: "a model in part on the device in the profile \(profile.name)", known: ["llama.cpp", "llama-server"])
    }
    // Training keeps no cache.
    for format in [keyFormat, valueFormat] where training == nil && !profile.cacheFormats.contains(format) {
      throw .unsupported(
        what: "a KV cache of type \(format.name) in the profile \(profile.name)",
        known: profile.cacheFormats.map(\.name))
    }
  }

  private static func check(
    _ what: String, _ unit: String, _ value: Int, within range: ClosedRange<Int>
  ) throws(FootprintError) {
    guard range.contains(value) else {
      throw .outOfRange(what: "\(what) of \(value) \(unit)", unit: unit, range: range)
    }
  }
}
