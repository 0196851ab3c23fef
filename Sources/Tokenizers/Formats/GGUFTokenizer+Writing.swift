internal import Bytes
public import IR

extension GGUFTokenizer {
  /// The `tokenizer.*` entries for a model, in the order in which llama.cpp's converter writes them.
  ///
  /// A tokenizer that came from GGUF keeps all its entries as they were; only the vocabulary is lengthened if the
  /// embedding has more rows.
  ///
  /// - Parameter vocabularyCount: the embedding's rows; missing tokens are named `[PAD123]`
  /// - Throws: if the embedding has fewer rows than the vocabulary has tokens, or the algorithm has no place in GGUF
  public static func metadata(for model: TokenizerModel, vocabularyCount: Int) throws(TokenizerError)
    -> (metadata: Metadata, warnings: [Warning])
  {
    guard model.tokens.count <= vocabularyCount else {
      throw .invalid(path: "vocabulary", "\(model.tokens.count) tokens for \(vocabularyCount) embedding rows")
    }
    if case .gguf(let kept) = model.source { return (padded(kept, model, vocabularyCount), []) }
    var metadata = Metadata()
    var warnings: [Warning] = []
    let row: PreTokenizerRow?
    switch model.algorithm {
    case .byteLevelBPE: row = try writeByteLevel(model, vocabularyCount, into: &metadata, &warnings)
    case .sentencePieceBPE:
      try writeSentencePiece(model, vocabularyCount, into: &metadata, &warnings)
      row = nil
    case .wordPiece:
      writeWordPiece(model, vocabularyCount, into: &metadata)
      row = nil
    case .unigram: throw .algorithm(model.algorithm)
    }
    for (role, key) in roleKeys where role != .cls {
      // A BERT-like tokenizer's [CLS] and [SEP] do as BOS and EOS.
      let stand: TokenizerModel.SpecialRole? = role == .bos ? .cls : role == .eos ? .sep : nil
      if let id = model.specialIDs[role] ?? stand.flatMap({ model.specialIDs[$0] }) {
        metadata[key] = .uint32(UInt32(id))
      }
    }
    writeFlags(model, row, into: &metadata)
    writeTemplates(model, into: &metadata)
    return (metadata, warnings)
  }

  private static func writeByteLevel(
    _ model: TokenizerModel, _ vocabularyCount: Int, into metadata: inout Metadata, _ warnings: inout [Warning]
  ) throws(TokenizerError) -> PreTokenizerRow {
    let (row, fit) = try PreTokenizerRow.recognize(model)
    if fit == .different { warnings.append(.preTokenizerApproximated(written: row.names[0])) }
    if fit == .sameOnProbe { warnings.append(.preTokenizerRecognizedByProbe(written: row.names[0])) }
    // NFC changes next to nothing in practice and the converter drops it without a word for Qwen; others matter.
    if model.normalizers.contains(where: { $0 != .nfc }) { warnings.append(.normalizerDropped) }
    metadata["tokenizer.ggml.model"] = .string("gpt2")
    metadata["tokenizer.ggml.pre"] = .string(row.names[0])
    writeVocabulary(model, vocabularyCount, into: &metadata)
    metadata["tokenizer.ggml.merges"] = .array(.string(merges(of: model)))
    return row
  }

  private static func writeVocabulary(_ model: TokenizerModel, _ count: Int, into metadata: inout Metadata) {
    let (pieces, kinds) = vocabulary(of: model, count: count)
    metadata["tokenizer.ggml.tokens"] = .array(.string(pieces))
    metadata["tokenizer.ggml.token_type"] = .array(.int32(kinds))
  }

  private static func writeSentencePiece(
    _ model: TokenizerModel, _ count: Int, into metadata: inout Metadata, _ warnings: inout [Warning]
  ) throws(TokenizerError) {
    let mark = ByteString("\u{2581}")
    var marked = model
    let prefixes =
      model.normalizers.contains(.prepend(mark))
      || model.preTokenizers.contains { if case .metaspace(_, let scheme, _) = $0 { scheme != .never } else { false } }
    let known: [TokenizerModel.Normalizer] = [.prepend(mark), .replace(.string(" "), mark)]
    if model.normalizers.contains(where: { !known.contains($0) }) { warnings.append(.normalizerDropped) }
    if let id = model.unknownID { marked.tokens[id].kind = .unknown }
    metadata["tokenizer.ggml.model"] = .string("llama")
    metadata["tokenizer.ggml.pre"] = .string("default")
    let (pieces, kinds) = vocabulary(of: marked, count: count)
    metadata["tokenizer.ggml.tokens"] = .array(.string(pieces))
    let scores = try scores(of: marked)
    metadata["tokenizer.ggml.scores"] = .array(
      .float32(scores + repeatElement(-10000, count: max(0, count - scores.count))))
    metadata["tokenizer.ggml.token_type"] = .array(.int32(kinds))
    for (id, score) in scores.enumerated() { marked.tokens[id].score = score }
    var index = PieceIndex(capacity: marked.tokens.count)
    for token in marked.tokens { index.append(token.piece.bytes) }
    let found = ScoredMerges(marked, &index).merges
    let implied = Set(found.map { TokenizerModel.Merge(left: UInt32($0.left), right: UInt32($0.right)) })
    let extra = model.merges.isEmpty ? 0 : implied.subtracting(model.merges).count
    if extra > 0 { warnings.append(.mergesNotImplied(count: extra)) }
    if !prefixes { metadata["tokenizer.ggml.add_space_prefix"] = .bool(false) }
  }

  private static func writeWordPiece(_ model: TokenizerModel, _ count: Int, into metadata: inout Metadata) {
    var spelled = model
    for (id, piece) in wordPieces(of: model).enumerated() { spelled.tokens[id].piece = piece }
    metadata["tokenizer.ggml.model"] = .string("bert")
    metadata["tokenizer.ggml.pre"] = .string("default")
    writeVocabulary(spelled, count, into: &metadata)
    for case .bert(_, _, let strips, let lowercases) in model.normalizers where !lowercases || strips == false {
      metadata["tokenizer.ggml.normalizer.lowercase"] = .bool(lowercases)
      metadata["tokenizer.ggml.normalizer.strip_accents"] = .bool(strips ?? lowercases)
    }
  }

  private static func padded(_ kept: Metadata, _ model: TokenizerModel, _ count: Int) -> Metadata {
    guard count > model.tokens.count else { return kept }
    var metadata = kept
    let missing = model.tokens.count..<count
    if case .array(.string(let pieces)) = kept["tokenizer.ggml.tokens"] {
      metadata["tokenizer.ggml.tokens"] = .array(.string(pieces + missing.map { ByteString("[PAD\($0)]") }))
    }
    if kept["tokenizer.ggml.token_type"] != nil {
      let kinds = model.tokens.map(\.kind.rawValue) + missing.map { _ in TokenizerModel.TokenKind.unused.rawValue }
      metadata["tokenizer.ggml.token_type"] = .array(.int32(kinds))
    }
    if kept["tokenizer.ggml.scores"] != nil {
      metadata["tokenizer.ggml.scores"] = .array(.float32(model.tokens.map(\.score) + missing.map { _ in -1000 }))
    }
    return metadata
  }

  private static func vocabulary(of model: TokenizerModel, count: Int) -> ([ByteString], [Int32]) {
    var pieces = model.tokens.map(\.piece)
    var kinds = model.tokens.map(\.kind)
    for token in model.addedTokens where pieces.indices.contains(token.id) {
      if token.isSpecial || looksSpecial(token.content) {
        if kinds[token.id] != .unknown { kinds[token.id] = .control }
      } else {
        kinds[token.id] = .userDefined
        pieces[token.id] = spacesForMarks(token.content)
      }
    }
    for id in pieces.count..<max(count, pieces.count) {
      pieces.append(ByteString("[PAD\(id)]"))
      kinds.append(.unused)
    }
    return (pieces, kinds.map(\.rawValue))
  }

  /// Some models mark as ordinary what must be a control token; llama.cpp's converter goes by the spelling.
  static func looksSpecial(_ piece: ByteString) -> Bool {
    let known: Set<ByteString> = ["<pad>", "<mask>", "<2mass>", "[@BOS@]"]
    return known.contains(piece) || piece.hasPrefix("<|") && piece.hasSuffix("|>")
      || piece.hasPrefix("<\u{FF5C}") && piece.hasSuffix("\u{FF5C}>")
      || piece.hasPrefix("<unused") && piece.hasSuffix(">")
  }

  private static func spacesForMarks(_ piece: ByteString) -> ByteString {
    var result: [UInt8] = []
    var rest = piece.bytes[...]
    while let byte = rest.first {
      if rest.starts(with: [0xE2, 0x96, 0x81]) {
        result.append(UInt8(ascii: " "))
        rest = rest.dropFirst(3)
      } else {
        result.append(byte)
        rest = rest.dropFirst()
      }
    }
    return ByteString(bytes: result)
  }

  private static func merges(of model: TokenizerModel) -> [ByteString] {
    // A space inside a piece would end it; the byte alphabet spells it U+0120.
    func spelled(_ number: UInt32) -> [UInt8] {
      let index = Int(number)
      let piece = index < model.tokens.count ? model.tokens[index].piece : model.mergePieces[index - model.tokens.count]
      return piece.bytes.contains(0x20) ? piece.bytes.flatMap { $0 == 0x20 ? [0xC4, 0xA0] : [$0] } : piece.bytes
    }
    return model.merges.map { ByteString(bytes: spelled($0.left) + [0x20] + spelled($0.right)) }
  }

  private static func writeFlags(_ model: TokenizerModel, _ row: PreTokenizerRow?, into metadata: inout Metadata) {
    func surrounds(_ ids: [Int], _ id: Int?) -> Bool? { ids.isEmpty ? nil : id.map(ids.contains) ?? false }
    if let adds = model.addsBOS ?? surrounds(model.prefixIDs, model.bosID ?? model.specialIDs[.cls]) {
      metadata["tokenizer.ggml.add_bos_token"] = .bool(adds)
    } else if row?.addsBOS == true {
      // The name alone would turn it on.
      metadata["tokenizer.ggml.add_bos_token"] = .bool(false)
    }
    if let adds = model.addsEOS ?? surrounds(model.suffixIDs, model.eosID ?? model.specialIDs[.sep]) {
      metadata["tokenizer.ggml.add_eos_token"] = .bool(adds)
    }
  }

  private static func writeTemplates(_ model: TokenizerModel, into metadata: inout Metadata) {
    for named in model.namedChatTemplates {
      metadata[ByteString("tokenizer.chat_template.\(safeName(named.name))")] = .string(named.template)
    }
    if !model.namedChatTemplates.isEmpty {
      metadata["tokenizer.chat_templates"] = .array(
        .string(model.namedChatTemplates.map { ByteString(safeName($0.name)) }))
    }
    if let template = model.chatTemplate { metadata["tokenizer.chat_template"] = .string(template) }
  }

  private static func safeName(_ name: ByteString) -> String {
    String(name.text.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  }
}
