public import Bytes
public import IR

/// A tokenizer as GGUF metadata holds it: `tokenizer.ggml.*` and `tokenizer.chat_template*`.
public enum GGUFTokenizer {
  /// What a file of this format cannot say, or what had to be guessed.
  public enum Warning: Hashable, Sendable, CustomStringConvertible {
    /// No name known to llama.cpp cuts text as this tokenizer does.
    case preTokenizerApproximated(written: ByteString)
    /// The name is chosen because both cut a probe text alike; their patterns differ in spelling.
    case preTokenizerRecognizedByProbe(written: ByteString)
    case preTokenizerUnknown(name: ByteString)
    /// llama.cpp does not normalize text for this kind of tokenizer.
    case normalizerDropped
    case mergesDropped(count: Int)
    /// llama.cpp joins any two symbols that spell a token; this tokenizer has fewer merges.
    case mergesNotImplied(count: Int)

    public var description: String {
      switch self {
      case .preTokenizerApproximated(let name):
        "no GGUF pre-tokenizer behaves like this one; \"\(name)\" is the nearest"
      case .preTokenizerRecognizedByProbe(let name): "pre-tokenizer recognized as \"\(name)\" by its behaviour"
      case .preTokenizerUnknown(let name): "pre-tokenizer \"\(name)\" is unknown; \"default\" is used"
      case .normalizerDropped: "GGUF has no place for this tokenizer's normalizer"
      case .mergesNotImplied(let count):
        "\(count) merges that this tokenizer does not have follow from the scores GGUF keeps instead"
      case .mergesDropped(let count): "\(count) merges name pieces that are not in the vocabulary and are left out"
      }
    }
  }

  static let roleKeys: [(role: TokenizerModel.SpecialRole, key: ByteString)] = [
    (.bos, "tokenizer.ggml.bos_token_id"), (.eos, "tokenizer.ggml.eos_token_id"),
    (.unk, "tokenizer.ggml.unknown_token_id"), (.sep, "tokenizer.ggml.seperator_token_id"),
    (.pad, "tokenizer.ggml.padding_token_id"), (.cls, "tokenizer.ggml.cls_token_id"),
    (.mask, "tokenizer.ggml.mask_token_id"), (.eot, "tokenizer.ggml.eot_token_id"),
    (.eom, "tokenizer.ggml.eom_token_id"), (.fimPrefix, "tokenizer.ggml.fim_pre_token_id"),
    (.fimSuffix, "tokenizer.ggml.fim_suf_token_id"), (.fimMiddle, "tokenizer.ggml.fim_mid_token_id"),
    (.fimPad, "tokenizer.ggml.fim_pad_token_id"), (.fimRepository, "tokenizer.ggml.fim_rep_token_id"),
    (.fimSeparator, "tokenizer.ggml.fim_sep_token_id"),
  ]

  /// Reads the tokenizer of a file's metadata; nil if it has none.
  ///
  /// - Throws: an error naming the metadata key
  public static func read(_ metadata: Metadata) throws(TokenizerError) -> (model: TokenizerModel, warnings: [Warning])?
  {
    guard let kind = metadata["tokenizer.ggml.model"] else { return nil }
    guard let name = kind.string else { throw .wrongType(path: "tokenizer.ggml.model", expected: "a string") }
    if name == "no_vocab" || name == "none" { return nil }
    let algorithms: [ByteString: TokenizerModel.Algorithm] = [
      "gpt2": .byteLevelBPE, "llama": .sentencePieceBPE, "bert": .wordPiece, "t5": .unigram,
    ]
    guard let algorithm = algorithms[name] else { throw .unsupported(path: "tokenizer.ggml.model", name.text) }
    var model = TokenizerModel(algorithm: algorithm, tokens: try readTokens(metadata))
    try readMerges(metadata, into: &model)
    setDefaults(of: &model)
    try readSpecialTokens(metadata, into: &model)
    var warnings: [Warning] = []
    switch algorithm {
    case .byteLevelBPE: try readPreTokenizer(metadata, into: &model, &warnings)
    case .sentencePieceBPE, .unigram: try readSentencePiece(metadata, into: &model)
    case .wordPiece: try readWordPiece(metadata, into: &model)
    }
    try readTemplates(metadata, into: &model)
    surround(&model)
    var kept = Metadata()
    for entry in metadata.entries where entry.key.hasPrefix("tokenizer.") { kept[entry.key] = entry.value }
    model.source = .gguf(kept)
    return (model, warnings)
  }

  private static func readTokens(_ metadata: Metadata) throws(TokenizerError) -> [TokenizerModel.Token] {
    let key: ByteString = "tokenizer.ggml.tokens"
    guard let value = metadata[key] else { throw .missing(path: key.text) }
    guard let pieces = value.array?.strings else { throw .wrongType(path: key.text, expected: "an array of strings") }
    var tokens = pieces.map { TokenizerModel.Token($0) }
    if let types = metadata["tokenizer.ggml.token_type"] {
      let path = "tokenizer.ggml.token_type"
      guard let numbers = types.array?.ints else { throw .wrongType(path: path, expected: "an array of integers") }
      guard numbers.count == tokens.count else {
        throw .invalid(path: path, "\(numbers.count) types for \(tokens.count) tokens")
      }
      for (id, number) in numbers.enumerated() {
        tokens[id].kind = Int32(exactly: number).flatMap(TokenizerModel.TokenKind.init(rawValue:)) ?? .undefined
      }
    }
    if let scores = metadata["tokenizer.ggml.scores"] {
      let path = "tokenizer.ggml.scores"
      guard let numbers = scores.array?.floats else { throw .wrongType(path: path, expected: "an array of floats") }
      guard numbers.count == tokens.count else {
        throw .invalid(path: path, "\(numbers.count) scores for \(tokens.count) tokens")
      }
      for (id, number) in numbers.enumerated() { tokens[id].score = number }
    }
    return tokens
  }

  private static func readMerges(_ metadata: Metadata, into model: inout TokenizerModel) throws(TokenizerError) {
    let path = "tokenizer.ggml.merges"
    guard let value = metadata[ByteString(path)] else {
      if model.algorithm == .byteLevelBPE { throw .missing(path: path) }
      return
    }
    guard let lines = value.array?.strings else { throw .wrongType(path: path, expected: "an array of strings") }
    var index = PieceIndex(capacity: model.tokens.count)
    for token in model.tokens { index.append(token.piece.bytes) }
    // llama.cpp merges spellings, so a merge may make a piece that is no token and merge it on.
    func number(_ text: Span<UInt8>, _ part: Range<Int>) -> UInt32 {
      if let known = index.find(text, part) { return UInt32(known) }
      let piece = part.map { text[$0] }
      index.append(piece)
      model.mergePieces.append(ByteString(bytes: piece))
      return UInt32(index.count - 1)
    }
    model.merges.reserveCapacity(lines.count)
    var joined: [UInt8] = []
    for (rank, line) in lines.enumerated() {
      let text = line.bytes.span
      guard let space = (1..<max(1, text.count)).first(where: { text[$0] == UInt8(ascii: " ") }) else {
        throw .invalid(path: "\(path)[\(rank)]", "\"\(line)\" is not two pieces")
      }
      let merge = TokenizerModel.Merge(left: number(text, 0..<space), right: number(text, space + 1..<text.count))
      joined.removeAll(keepingCapacity: true)
      for offset in 0..<text.count where offset != space { joined.append(text[offset]) }
      _ = number(joined.span, 0..<joined.count)
      model.merges.append(merge)
    }
  }

  private static func readSpecialTokens(_ metadata: Metadata, into model: inout TokenizerModel) throws(TokenizerError) {
    for (role, key) in roleKeys {
      guard let value = metadata[key] else { continue }
      guard let id = value.int else { throw .wrongType(path: key.text, expected: "a token id") }
      // llama.cpp warns of an id outside the vocabulary and goes without.
      if model.tokens.indices.contains(id) { model.specialIDs[role] = id }
    }
    for (id, token) in model.tokens.enumerated() where !token.piece.isEmpty {
      let isSpecial = token.kind == .control || token.kind == .unknown
      guard isSpecial || token.kind == .userDefined else { continue }
      var added = TokenizerModel.AddedToken(id: id, content: token.piece)
      added.isSpecial = isSpecial
      model.addedTokens.append(added)
    }
    for (key, path) in [
      ("tokenizer.ggml.add_bos_token", \TokenizerModel.addsBOS), ("tokenizer.ggml.add_eos_token", \.addsEOS),
    ] as [(ByteString, WritableKeyPath<TokenizerModel, Bool?>)] {
      guard let value = metadata[key] else { continue }
      guard let flag = value.bool else { throw .wrongType(path: key.text, expected: "true or false") }
      model[keyPath: path] = flag
    }
  }

  private static func readPreTokenizer(
    _ metadata: Metadata, into model: inout TokenizerModel, _ warnings: inout [Warning]
  ) throws(TokenizerError) {
    var name: ByteString = "default"
    if let value = metadata["tokenizer.ggml.pre"] {
      guard let string = value.string else { throw .wrongType(path: "tokenizer.ggml.pre", expected: "a string") }
      name = string
    }
    if PreTokenizerRow.named(name) == nil { warnings.append(.preTokenizerUnknown(name: name)) }
    guard let row = PreTokenizerRow.named(name) ?? PreTokenizerRow.named("default") else { return }
    model.preTokenizers = row.steps
    model.ignoresMerges = row.ignoresMerges
    if model.addsBOS == nil, row.addsBOS { model.addsBOS = true }
  }

  private static func readTemplates(_ metadata: Metadata, into model: inout TokenizerModel) throws(TokenizerError) {
    let prefix: ByteString = "tokenizer.chat_template"
    for entry in metadata.entries where entry.key.hasPrefix(prefix) {
      if entry.key == prefix {
        guard let text = entry.value.string else { throw .wrongType(path: prefix.text, expected: "a string") }
        model.chatTemplate = text
      } else if entry.key.bytes[prefix.count] == UInt8(ascii: "."), let text = entry.value.string {
        let name = ByteString(bytes: Array(entry.key.bytes[(prefix.count + 1)...]))
        model.namedChatTemplates.append(.init(name: name, template: text))
      }
    }
  }

  /// The ids that the flags put around a text.
  private static func surround(_ model: inout TokenizerModel) {
    if model.addsBOS == true, let id = model.bosID { model.prefixIDs = [id] }
    if model.addsEOS == true, let id = model.eosID { model.suffixIDs = [id] }
    if model.algorithm == .wordPiece {
      model.prefixIDs = [model.specialIDs[.cls] ?? model.bosID].compactMap { $0 }
      model.suffixIDs = [model.specialIDs[.sep]].compactMap { $0 }
    }
  }
}
