internal import Bytes
public import IR

/// Text to token ids and back. Holds compiled tables only: one value serves all threads.
public struct Tokenizer: Sendable {
  public let model: TokenizerModel
  let raw: AddedTokenFinder
  let normalized: AddedTokenFinder
  let normalizer: NormalizerPipeline
  let pipeline: SplitPipeline
  let encoder: WordEncoder
  /// By id: the bytes it stands for.
  let decoded: PieceIndex
  /// By id: whether it is left out when special tokens are.
  let isSpecial: [Bool]

  /// Decoded text loses the space that encoding put before it.
  let stripsLeadingSpace: Bool

  /// Builds the tables. Cost: some 0.1 s for a vocabulary of 128,000 tokens.
  public init(_ model: TokenizerModel) throws(TokenizerError) {
    self.model = model
    raw = try AddedTokenFinder(model.addedTokens.filter { !$0.isNormalized })
    normalizer = try NormalizerPipeline(model.normalizers)
    var later = model.addedTokens.filter(\.isNormalized)
    for index in later.indices {
      later[index].content = ByteString(bytes: try normalizer.normalized(later[index].content.bytes))
    }
    normalized = try AddedTokenFinder(later)
    pipeline = try SplitPipeline(model.preTokenizers, path: "pre_tokenizer")
    encoder = try WordEncoder(model)
    (decoded, isSpecial) = Self.decoding(model)
    stripsLeadingSpace = Self.addsLeadingSpace(model)
  }

  public var vocabularyCount: Int { model.tokens.count }

  /// The ids of `text`.
  ///
  /// - Parameters:
  ///   - addsSpecial: puts the model's leading and trailing tokens (BOS, EOS) around them.
  ///   - parsesSpecial: takes the spelling of a special token for the token; otherwise it is text like any other. Added
  ///     tokens that are not special are found either way.
  /// - Throws: `.regex` with `.stepLimit` if a pattern needs more steps than the text's length justifies.
  public func encode(_ text: [UInt8], addsSpecial: Bool = false, parsesSpecial: Bool = true) throws(TokenizerError)
    -> [Int32]
  {
    var run = EncodingRun(textCount: text.count)
    if addsSpecial { run.output += model.prefixIDs.map { Int32($0) } }
    try encode(text, parsesSpecial: parsesSpecial, &run)
    if addsSpecial { run.output += model.suffixIDs.map { Int32($0) } }
    return run.output
  }

  public func encode(_ text: String, addsSpecial: Bool = false, parsesSpecial: Bool = true) throws(TokenizerError)
    -> [Int32]
  {
    try encode(Array(text.utf8), addsSpecial: addsSpecial, parsesSpecial: parsesSpecial)
  }

  private func encode(_ text: [UInt8], parsesSpecial: Bool, _ run: inout EncodingRun) throws(TokenizerError) {
    try forEachSection(of: text, raw, parsesSpecial, &run) { section, isFirst, run throws(TokenizerError) in
      let plain = try normalizer.normalized(section)
      try forEachSection(of: plain, normalized, parsesSpecial, &run) { part, isFirstHere, run throws(TokenizerError) in
        var part = part
        try pipeline.split(&part, isFirst: isFirst && isFirstHere, &run.splitting)
        encoder.encode(part.span, &run)
      }
    }
  }

  /// Emits added tokens and calls `body` with what lies between them.
  private func forEachSection(
    of text: [UInt8], _ finder: AddedTokenFinder, _ parsesSpecial: Bool, _ run: inout EncodingRun,
    _ body: ([UInt8], _ isFirst: Bool, inout EncodingRun) throws(TokenizerError) -> Void
  ) throws(TokenizerError) {
    var position = 0
    if !finder.isEmpty {
      while let match = finder.next(in: text.span, from: position, isWanted: { parsesSpecial || !$0.isSpecial }) {
        if match.range.lowerBound > position {
          try body(Array(text[position..<match.range.lowerBound]), position == 0, &run)
        }
        run.output.append(Int32(match.token.id))
        position = match.range.upperBound
      }
    }
    if position == 0 {
      if !text.isEmpty { try body(text, true, &run) }
    } else if position < text.count {
      try body(Array(text[position...]), false, &run)
    }
  }
}

/// What one call of `encode` works with.
struct EncodingRun {
  var output: [Int32] = []
  var splitting = SplitPipeline.Scratch()
  var merger = BPEMerger()
  var lattice: [UnigramEncoder.Node] = []
  var cache: WordCache

  init(textCount: Int) {
    output.reserveCapacity(textCount / 3 + 4)
    // Up to 16,384 words of 48 bytes; a short text is not worth as many.
    var capacity = 16
    while capacity < 1 << 14, capacity * 8 < textCount { capacity *= 2 }
    cache = WordCache(capacity: capacity)
  }
}
