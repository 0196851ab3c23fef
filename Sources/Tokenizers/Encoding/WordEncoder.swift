internal import IR

/// Turns pieces of text into ids, by the model's algorithm, remembering short ones.
enum WordEncoder: Sendable {
  case bytes(BPEEncoder)
  case characters(CharacterBPEEncoder)
  case wordPiece(WordPieceEncoder)
  case unigram(UnigramEncoder)

  init(_ model: TokenizerModel) throws(TokenizerError) {
    switch model.algorithm {
    case .byteLevelBPE: self = .bytes(try BPEEncoder(model))
    case .sentencePieceBPE: self = .characters(try CharacterBPEEncoder(model))
    case .wordPiece: self = .wordPiece(WordPieceEncoder(model))
    case .unigram: self = .unigram(UnigramEncoder(model))
    }
  }

  /// Appends the ids of the pieces in `run.splitting`.
  func encode(_ text: Span<UInt8>, _ run: inout EncodingRun) {
    let pieces = run.splitting.pieces
    switch self {
    case .bytes(let encoder):
      for piece in pieces { Self.encode(text, piece, &run) { encoder.encode(text, piece, &$0) } }
    case .characters(let encoder):
      for piece in pieces {
        encoder.forEachWord(text, piece) { word in Self.encode(text, word, &run) { encoder.encode(text, word, &$0) } }
      }
    case .wordPiece(let encoder):
      for piece in pieces { Self.encode(text, piece, &run) { encoder.encode(text, piece, &$0.output) } }
    case .unigram(let encoder):
      for piece in pieces { Self.encode(text, piece, &run) { encoder.encode(text, piece, &$0) } }
    }
  }

  @inline(__always)
  private static func encode(
    _ text: Span<UInt8>, _ piece: Range<Int>, _ run: inout EncodingRun, with encode: (inout EncodingRun) -> Void
  ) {
    let key = WordCache.key(text, piece)
    if let key, run.cache.append(key, to: &run.output) { return }
    let start = run.output.count
    encode(&run)
    if let key { run.cache.insert(key, run.output[start...]) }
  }
}
