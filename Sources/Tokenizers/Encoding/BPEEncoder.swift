internal import Bytes
internal import IR

/// Byte-level BPE: a piece's bytes become symbols, merges join them.
struct BPEEncoder: Sendable {
  /// By byte: its token, or −1.
  private var byteTokens: [Int32]
  private var merges: MergeTable
  /// Whole words, for vocabularies that look them up before merging.
  private var words: PieceIndex?
  private var wordTokens: [Int32] = []
  /// Spelling of symbols that merges make and the vocabulary lacks: they come out as their bytes.
  private var spelled: [[UInt8]] = []
  private let vocabularyCount: Int
  private let unknown: Int32?

  init(_ model: TokenizerModel) throws(TokenizerError) {
    vocabularyCount = model.tokens.count
    var index = PieceIndex(capacity: model.tokens.count + model.mergePieces.count)
    for token in model.tokens { index.append(token.piece.bytes) }
    for piece in model.mergePieces { index.append(piece.bytes) }
    byteTokens = ByteAlphabet.scalars.map { scalar in
      var spelling: [UInt8] = []
      spelling.append(scalar: scalar)
      guard let id = index.find(ByteString(bytes: spelling)), id < model.tokens.count else { return -1 }
      return Int32(id)
    }
    unknown = model.unknownID.flatMap { Int32(exactly: $0) }
    merges = MergeTable(capacity: model.merges.count)
    var joined: [UInt8] = []
    for (rank, merge) in model.merges.enumerated() {
      let (left, right) = (Int(merge.left), Int(merge.right))
      guard left < index.count, right < index.count else {
        throw .invalid(path: "merges[\(rank)]", "names a piece that does not exist")
      }
      joined.removeAll(keepingCapacity: true)
      joined += index.bytes(left)
      joined += index.bytes(right)
      guard let result = index.find(joined.span, 0..<joined.count) else {
        throw .invalid(path: "merges[\(rank)]", "\"\(ByteString(bytes: joined))\" is not in the vocabulary")
      }
      merges.insert(Int32(left), Int32(right), rank: rank, result: Int32(result))
    }
    spelled = model.mergePieces.map { ByteAlphabet.decoded($0.bytes) ?? $0.bytes }
    if model.ignoresMerges {
      var words = PieceIndex(capacity: model.tokens.count)
      for (id, token) in model.tokens.enumerated() where token.kind == .normal || token.kind == .userDefined {
        guard let bytes = ByteAlphabet.decoded(token.piece.bytes) else { continue }
        words.append(bytes)
        wordTokens.append(Int32(id))
      }
      self.words = words
    }
  }

  func encode(_ text: Span<UInt8>, _ piece: Range<Int>, _ run: inout EncodingRun) {
    if piece.count == 1 {
      emit(byteTokens[Int(text[piece.lowerBound])], &run.output)
      return
    }
    if let word = words?.find(text, piece) {
      run.output.append(wordTokens[word])
      return
    }
    run.merger.symbols.removeAll(keepingCapacity: true)
    for offset in piece {
      let token = byteTokens[Int(text[offset])]
      if token >= 0 {
        run.merger.symbols.append(token)
      } else if let unknown {
        run.merger.symbols.append(unknown)
      }
    }
    run.merger.merge(merges)
    for symbol in run.merger.symbols {
      if symbol < vocabularyCount {
        run.output.append(symbol)
      } else {
        for byte in spelled[Int(symbol) - vocabularyCount] { emit(byteTokens[Int(byte)], &run.output) }
      }
    }
  }

  private func emit(_ token: Int32, _ output: inout [Int32]) {
    if token >= 0 { output.append(token) } else if let unknown { output.append(unknown) }
  }
}
