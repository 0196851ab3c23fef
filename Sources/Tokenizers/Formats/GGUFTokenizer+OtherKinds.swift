internal import Bytes
internal import IR

/// What the kinds other than byte-level BPE say in GGUF, with llama.cpp's defaults for what they leave out.
extension GGUFTokenizer {
  static func setDefaults(of model: inout TokenizerModel) {
    let ids: [TokenizerModel.SpecialRole: Int]
    switch model.algorithm {
    case .byteLevelBPE: return
    case .sentencePieceBPE:
      ids = [.bos: 1, .eos: 2, .unk: 0]
      model.addsBOS = true
      model.addsEOS = false
    case .wordPiece: ids = [.bos: 101, .unk: 100, .sep: 102, .pad: 0, .mask: 103]
    case .unigram:
      ids = [.eos: 1, .unk: 2, .pad: 0]
      model.addsBOS = false
      model.addsEOS = true
    }
    for (role, id) in ids where model.tokens.indices.contains(id) { model.specialIDs[role] = id }
  }

  private static func flag(_ metadata: Metadata, _ key: ByteString, default absent: Bool) throws(TokenizerError) -> Bool
  {
    guard let value = metadata[key] else { return absent }
    guard let flag = value.bool else { throw .wrongType(path: key.text, expected: "true or false") }
    return flag
  }

  static func readSentencePiece(_ metadata: Metadata, into model: inout TokenizerModel) throws(TokenizerError) {
    if let map = metadata["tokenizer.ggml.precompiled_charsmap"] {
      let path = "tokenizer.ggml.precompiled_charsmap"
      guard case .array(let array) = map, let bytes = array.ints?.map({ UInt8(truncatingIfNeeded: $0) }) else {
        throw .wrongType(path: path, expected: "an array of bytes")
      }
      model.normalizers.append(.precompiled(bytes))
    }
    if try flag(metadata, "tokenizer.ggml.remove_extra_whitespaces", default: false) {
      model.normalizers += [.replace(.regex(" {2,}"), " "), .strip(left: true, right: true)]
    }
    if try flag(metadata, "tokenizer.ggml.add_space_prefix", default: true) {
      model.normalizers.append(.prepend("\u{2581}"))
    }
    model.normalizers.append(.replace(.string(" "), "\u{2581}"))
  }

  /// GGUF marks a word's beginning (`▁the`) where WordPiece marks its continuation (`##ing`); the model has the latter.
  static func readWordPiece(_ metadata: Metadata, into model: inout TokenizerModel) throws(TokenizerError) {
    model.continuationPrefix = "##"
    for id in model.tokens.indices where model.tokens[id].kind == .normal {
      let piece = model.tokens[id].piece
      model.tokens[id].piece =
        piece.hasPrefix("\u{2581}")
        ? ByteString(bytes: Array(piece.bytes.dropFirst(3))) : ByteString(bytes: Array("##".utf8) + piece.bytes)
    }
    let lowercases = try flag(metadata, "tokenizer.ggml.normalizer.lowercase", default: true)
    let strips = try flag(metadata, "tokenizer.ggml.normalizer.strip_accents", default: lowercases)
    model.normalizers = [
      .bert(cleansText: true, handlesChinese: true, stripsAccents: strips, lowercases: lowercases)
    ]
    model.preTokenizers = [.bert]
  }

  /// WordPiece tokens as GGUF spells them.
  static func wordPieces(of model: TokenizerModel) -> [ByteString] {
    model.tokens.map { token in
      if token.kind == .control || token.kind == .unknown { return token.piece }
      return token.piece.hasPrefix(model.continuationPrefix)
        ? ByteString(bytes: Array(token.piece.bytes.dropFirst(model.continuationPrefix.count)))
        : ByteString(bytes: Array("\u{2581}".utf8) + token.piece.bytes)
    }
  }

  /// Scores that make llama.cpp, which merges by score, do what the merges say: the piece that the first merge makes
  /// scores best. Pieces no merge makes come after all others.
  static func scores(of model: TokenizerModel) throws(TokenizerError) -> [Float] {
    if model.merges.isEmpty { return model.tokens.map(\.score) }
    var index = PieceIndex(capacity: model.tokens.count)
    for token in model.tokens { index.append(token.piece.bytes) }
    for piece in model.mergePieces { index.append(piece.bytes) }
    var scores = model.tokens.enumerated().map { id, token in
      token.kind == .normal ? -Float(model.merges.count + id) : 0
    }
    var isScored = [Bool](repeating: false, count: index.count)
    for (rank, merge) in model.merges.enumerated() {
      let joined = Array(index.bytes(Int(merge.left)) + index.bytes(Int(merge.right)))
      guard let result = index.find(joined.span, 0..<joined.count), !isScored[result], result < scores.count else {
        continue
      }
      isScored[result] = true
      scores[result] = -Float(rank)
    }
    return scores
  }
}
