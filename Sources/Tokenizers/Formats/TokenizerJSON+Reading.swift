public import Bytes
public import IR

/// Hugging Face's tokenizer.json with what tokenizer_config.json and config.json add to it.
public enum TokenizerJSON {
  /// Reads a tokenizer.
  ///
  /// - Parameters:
  ///   - tokenizer: the bytes of tokenizer.json
  ///   - configuration: the bytes of tokenizer_config.json
  ///   - modelConfiguration: config.json, for special ids that the others leave open
  ///   - chatTemplate: the bytes of chat_template.jinja
  /// - Throws: an error that names the JSON path
  public static func read(
    tokenizer: [UInt8], configuration: [UInt8]? = nil, modelConfiguration: JSONObject? = nil,
    chatTemplate: [UInt8]? = nil, limits: Limits = Limits()
  ) throws(TokenizerError) -> TokenizerModel {
    let root = try parse(tokenizer, file: "tokenizer.json", limits)
    let description = try root.required("model")
    var model = try readModel(description)
    try readAddedTokens(root["added_tokens"], into: &model)
    if let hole = model.tokens.firstIndex(where: { $0.kind == .undefined }) {
      // A gap that the embedding has rows for; llama.cpp's converter names such tokens the same way.
      for id in hole..<model.tokens.count where model.tokens[id].kind == .undefined {
        model.tokens[id] = TokenizerModel.Token(ByteString("[PAD\(id)]"), kind: .unused)
      }
    }
    if let normalizer = root["normalizer"] { model.normalizers = try readNormalizers(normalizer) }
    if let splitting = root["pre_tokenizer"] { model.preTokenizers = try readPreTokenizers(splitting) }
    if model.algorithm == .sentencePieceBPE, usesByteAlphabet(model) { model.algorithm = .byteLevelBPE }
    if let processor = root["post_processor"] { try readPostProcessor(processor, into: &model) }
    if let configuration {
      try readConfiguration(parse(configuration, file: "tokenizer_config.json", limits), into: &model)
    }
    if let chatTemplate, model.chatTemplate == nil { model.chatTemplate = ByteString(bytes: chatTemplate) }
    if let modelConfiguration { readSpecialIDs(modelConfiguration, into: &model) }
    model.source = .huggingFace(tokenizer: tokenizer, configuration: configuration)
    return model
  }

  static func parse(_ bytes: [UInt8], file: String, _ limits: Limits) throws(TokenizerError) -> JSONCursor {
    do {
      return JSONCursor(value: try JSONValue.parse(bytes, limits: limits), path: "")
    } catch {
      throw .json(file: file, error)
    }
  }

  /// Byte-level tokenizers say so in a pre-tokenizer step; the model itself looks like any other BPE.
  private static func usesByteAlphabet(_ model: TokenizerModel) -> Bool {
    model.preTokenizers.contains { if case .byteLevel = $0 { true } else { false } }
  }

  private static func readModel(_ description: JSONCursor) throws(TokenizerError) -> TokenizerModel {
    // Files older than the type member are BPE if they have merges.
    let type = try description["type"]?.string() ?? (description["merges"] == nil ? "WordPiece" : "BPE")
    switch type {
    case "BPE": return try readBPE(description)
    case "WordPiece":
      var model = TokenizerModel(algorithm: .wordPiece, tokens: try readVocabulary(description.required("vocab")))
      model.continuationPrefix = try description["continuing_subword_prefix"]?.string() ?? "##"
      try readUnknown(description, into: &model)
      return model
    case "Unigram": return try readUnigram(description)
    default: throw .unsupported(path: "model.type", type.text)
    }
  }

  private static func readUnknown(_ description: JSONCursor, into model: inout TokenizerModel) throws(TokenizerError) {
    guard let unknown = description["unk_token"] else { return }
    let piece = try unknown.string()
    model.specialIDs[.unk] = model.tokens.firstIndex { $0.piece == piece && $0.kind != .undefined }
  }

  /// Tokens in order of id; an id nothing has is left `.undefined`.
  private static func readVocabulary(_ vocabulary: JSONCursor) throws(TokenizerError) -> [TokenizerModel.Token] {
    let members = try vocabulary.object().members
    var tokens = [TokenizerModel.Token](
      repeating: TokenizerModel.Token("", kind: .undefined), count: members.count)
    for member in members {
      let path = "\(vocabulary.path).\(member.key)"
      let id = try JSONCursor(value: member.value, path: path).id()
      if id >= tokens.count {
        guard id < 2 * members.count + 1 << 16 else { throw .hole(id: tokens.count, vocabularyCount: id + 1) }
        tokens += repeatElement(TokenizerModel.Token("", kind: .undefined), count: id + 1 - tokens.count)
      }
      guard tokens[id].kind == .undefined else { throw .duplicateID(path: path, id: id) }
      tokens[id] = TokenizerModel.Token(member.key)
    }
    // Room that no id has claimed at the end is no hole.
    while tokens.last?.kind == .undefined { tokens.removeLast() }
    return tokens
  }

  private static func readBPE(_ description: JSONCursor) throws(TokenizerError) -> TokenizerModel {
    for key: ByteString in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = try description[key]?.string(), !affix.isEmpty {
        throw .unsupported(path: "model.\(key)", "\"\(affix)\"")
      }
    }
    var model = TokenizerModel(algorithm: .sentencePieceBPE, tokens: try readVocabulary(description.required("vocab")))
    model.ignoresMerges = try description.flag("ignore_merges")
    var index = PieceIndex(capacity: model.tokens.count)
    for token in model.tokens { index.append(token.piece.bytes) }
    for merge in try description.required("merges").array() {
      let (left, right) = try readMerge(merge)
      guard let leftID = index.find(left), let rightID = index.find(right) else {
        throw .invalid(path: merge.path, "\"\(left)\" \"\(right)\" names a token that is not in the vocabulary")
      }
      guard index.find(ByteString(bytes: left.bytes + right.bytes)) != nil else {
        throw .invalid(path: merge.path, "\"\(left)\(right)\" is not in the vocabulary")
      }
      model.merges.append(.init(left: UInt32(leftID), right: UInt32(rightID)))
    }
    if try description.flag("byte_fallback") {
      for id in model.tokens.indices where byteValue(model.tokens[id].piece) != nil { model.tokens[id].kind = .byte }
    }
    try readUnknown(description, into: &model)
    return model
  }

  /// `"a b"`, or `["a", "b"]` since pieces may contain spaces.
  private static func readMerge(_ merge: JSONCursor) throws(TokenizerError) -> (ByteString, ByteString) {
    if let text = merge.value.string {
      guard let space = text.bytes.dropFirst().firstIndex(of: UInt8(ascii: " ")) else {
        throw .wrongType(path: merge.path, expected: "two pieces")
      }
      return (ByteString(bytes: Array(text.bytes[..<space])), ByteString(bytes: Array(text.bytes[(space + 1)...])))
    }
    guard let pair = merge.value.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
      throw .wrongType(path: merge.path, expected: "two pieces")
    }
    return (left, right)
  }

  /// `<0x0A>` and the like.
  static func byteValue(_ piece: ByteString) -> UInt8? {
    guard piece.count == 6, piece.hasPrefix("<0x"), piece.hasSuffix(">") else { return nil }
    return UInt8(ByteString(bytes: Array(piece.bytes[3..<5])).text, radix: 16)
  }

  private static func readUnigram(_ description: JSONCursor) throws(TokenizerError) -> TokenizerModel {
    var tokens: [TokenizerModel.Token] = []
    for entry in try description.required("vocab").array() {
      guard let pair = entry.value.array, pair.count == 2, let piece = pair[0].string, let score = pair[1].double else {
        throw .wrongType(path: entry.path, expected: "a piece and its score")
      }
      tokens.append(TokenizerModel.Token(piece, score: Float(score)))
    }
    var model = TokenizerModel(algorithm: .unigram, tokens: tokens)
    if let unknown = description["unk_id"] {
      let id = try unknown.id()
      guard tokens.indices.contains(id) else { throw .unknownID(id, vocabularyCount: tokens.count) }
      model.specialIDs[.unk] = id
      model.tokens[id].kind = .unknown
    }
    if try description.flag("byte_fallback") {
      for id in model.tokens.indices where byteValue(model.tokens[id].piece) != nil { model.tokens[id].kind = .byte }
    }
    return model
  }

  /// Added tokens may repeat vocabulary entries, fill holes or lie beyond the end.
  private static func readAddedTokens(_ list: JSONCursor?, into model: inout TokenizerModel) throws(TokenizerError) {
    guard let list else { return }
    var seen: Set<Int> = []
    let vocabularyCount = model.tokens.count
    for entry in try list.array() {
      let id = try entry.required("id").id()
      var token = TokenizerModel.AddedToken(id: id, content: try entry.required("content").string())
      guard seen.insert(id).inserted else { throw .duplicateID(path: entry.path, id: id) }
      token.isSpecial = try entry.flag("special")
      token.stripsLeft = try entry.flag("lstrip")
      token.stripsRight = try entry.flag("rstrip")
      token.isSingleWord = try entry.flag("single_word")
      token.isNormalized = try entry.flag("normalized", default: !token.isSpecial)
      if id >= model.tokens.count {
        guard id < vocabularyCount + 1 << 20 else { throw .hole(id: model.tokens.count, vocabularyCount: id + 1) }
        model.tokens += repeatElement(
          TokenizerModel.Token("", kind: .undefined), count: id + 1 - model.tokens.count)
      }
      if model.tokens[id].kind == .undefined {
        model.tokens[id].piece = token.content
      } else if model.tokens[id].piece != token.content {
        throw .invalid(path: entry.path, "\"\(token.content)\" has the id of \"\(model.tokens[id].piece)\"")
      }
      model.tokens[id].kind = token.isSpecial ? .control : .userDefined
      model.addedTokens.append(token)
    }
  }
}
