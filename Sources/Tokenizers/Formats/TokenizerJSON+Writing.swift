internal import Bytes
public import IR

extension TokenizerJSON {
  /// The files of a Hugging Face directory that hold the tokenizer.
  public struct Files: Sendable {
    /// tokenizer.json
    public var tokenizer: [UInt8]
    /// tokenizer_config.json
    public var configuration: [UInt8]
    /// Merges that name pieces outside the vocabulary, which the format cannot hold.
    public var droppedMergeCount = 0
  }

  /// Writes a tokenizer so that the `tokenizers` package gives the same ids; one that came from these files goes back
  /// byte for byte.
  public static func files(for model: TokenizerModel) throws(TokenizerError) -> Files {
    if case .huggingFace(let tokenizer, let configuration) = model.source {
      return Files(
        tokenizer: tokenizer,
        configuration: configuration ?? JSONValue.object(self.configuration(of: model)).serialized(pretty: true))
    }
    guard model.algorithm == .byteLevelBPE else { throw .algorithm(model.algorithm) }
    var root = JSONObject()
    root["version"] = .text("1.0")
    root["truncation"] = .null
    root["padding"] = .null
    root["added_tokens"] = .array(model.addedTokens.map(describe))
    root["normalizer"] = describe(model.normalizers)
    root["pre_tokenizer"] = try describe(model.preTokenizers)
    root["post_processor"] = describePostProcessor(model)
    root["decoder"] = byteLevelDecoder
    let (description, dropped) = try describeModel(model)
    root["model"] = .object(description)
    return Files(
      tokenizer: JSONValue.object(root).serialized(pretty: true),
      configuration: JSONValue.object(configuration(of: model)).serialized(pretty: true), droppedMergeCount: dropped)
  }

  private static func object(_ members: KeyValuePairs<ByteString, JSONValue>) -> JSONValue {
    .object(JSONObject(members))
  }

  private static let byteLevelDecoder = object([
    "type": .text("ByteLevel"), "add_prefix_space": .bool(false), "trim_offsets": .bool(true), "use_regex": .bool(true),
  ])

  private static func describe(_ token: TokenizerModel.AddedToken) -> JSONValue {
    object([
      "id": .integer(token.id), "content": .string(token.content), "single_word": .bool(token.isSingleWord),
      "lstrip": .bool(token.stripsLeft), "rstrip": .bool(token.stripsRight), "normalized": .bool(token.isNormalized),
      "special": .bool(token.isSpecial),
    ])
  }

  private static func describeModel(_ model: TokenizerModel) throws(TokenizerError) -> (JSONObject, Int) {
    var vocabulary = JSONObject()
    for (id, token) in model.tokens.enumerated() {
      // Rows that only pad the embedding are no tokens here.
      if token.kind == .unused, token.piece == ByteString("[PAD\(id)]") { continue }
      if let earlier = vocabulary[token.piece]?.int { throw .duplicateToken(token.piece, ids: [earlier, id]) }
      vocabulary[token.piece] = .integer(id)
    }
    var merges: [JSONValue] = []
    merges.reserveCapacity(model.merges.count)
    let count = model.tokens.count
    for merge in model.merges where Int(merge.left) < count && Int(merge.right) < count {
      let (left, right) = (model.tokens[Int(merge.left)].piece, model.tokens[Int(merge.right)].piece)
      guard vocabulary[ByteString(bytes: left.bytes + right.bytes)] != nil else { continue }
      merges.append(.array([.string(left), .string(right)]))
    }
    let unknown = model.unknownID.map { JSONValue.string(model.tokens[$0].piece) }
    let description: KeyValuePairs<ByteString, JSONValue> = [
      "type": .text("BPE"), "dropout": .null, "unk_token": needsUnknown(model) ? unknown ?? .null : .null,
      "continuing_subword_prefix": .null, "end_of_word_suffix": .null, "fuse_unk": .bool(false),
      "byte_fallback": .bool(false), "ignore_merges": .bool(model.ignoresMerges), "vocab": .object(vocabulary),
      "merges": .array(merges),
    ]
    return (JSONObject(description), model.merges.count - merges.count)
  }

  /// Where every byte has a token, nothing is unknown.
  private static func needsUnknown(_ model: TokenizerModel) -> Bool {
    let pieces = Set(model.tokens.lazy.filter { $0.piece.count <= 2 }.map(\.piece))
    return !(0...255).allSatisfy { pieces.contains(ByteAlphabet.encoded([$0])) }
  }

  private static func describe(_ normalizers: [TokenizerModel.Normalizer]) -> JSONValue {
    let forms: [JSONValue] = normalizers.compactMap { step in
      switch step {
      case .nfc: object(["type": .text("NFC")])
      case .nfd: object(["type": .text("NFD")])
      case .nfkc: object(["type": .text("NFKC")])
      case .nfkd: object(["type": .text("NFKD")])
      case .lowercase: object(["type": .text("Lowercase")])
      case .stripAccents: object(["type": .text("StripAccents")])
      default: nil
      }
    }
    return forms.isEmpty
      ? .null : forms.count == 1 ? forms[0] : object(["type": .text("Sequence"), "normalizers": .array(forms)])
  }

  private static func describe(_ steps: [TokenizerModel.PreTokenizer]) throws(TokenizerError) -> JSONValue {
    var described: [JSONValue] = []
    for (index, step) in steps.enumerated() { described.append(try describe(step, path: "pre_tokenizer[\(index)]")) }
    return described.count == 1
      ? described[0] : object(["type": .text("Sequence"), "pretokenizers": .array(described)])
  }

  private static func describe(_ step: TokenizerModel.PreTokenizer, path: String) throws(TokenizerError) -> JSONValue {
    switch step {
    case .split(let pattern, let behavior, let isInverted):
      let described: JSONObject =
        switch pattern {
        case .regex(let text): JSONObject(["Regex": .string(text)])
        case .string(let text): JSONObject(["String": .string(text)])
        }
      return object([
        "type": .text("Split"), "pattern": .object(described), "behavior": .text(behavior.rawValue),
        "invert": .bool(isInverted),
      ])
    case .digits(let isIndividual):
      return object(["type": .text("Digits"), "individual_digits": .bool(isIndividual)])
    case .byteLevel(let addsPrefixSpace, let usesRegex, let trimsOffsets):
      return object([
        "type": .text("ByteLevel"), "add_prefix_space": .bool(addsPrefixSpace), "trim_offsets": .bool(trimsOffsets),
        "use_regex": .bool(usesRegex),
      ])
    case .punctuation(let behavior):
      return object(["type": .text("Punctuation"), "behavior": .text(behavior.rawValue)])
    case .whitespace: return object(["type": .text("Whitespace")])
    case .whitespaceSplit: return object(["type": .text("WhitespaceSplit")])
    case .bert: return object(["type": .text("BertPreTokenizer")])
    case .delimiter(let text): return object(["type": .text("CharDelimiterSplit"), "delimiter": .string(text)])
    case .metaspace: throw .unsupported(path: path, "Metaspace in a byte-level tokenizer")
    }
  }

  private static func describePostProcessor(_ model: TokenizerModel) -> JSONValue {
    let byteLevel = object([
      "type": .text("ByteLevel"), "add_prefix_space": .bool(true), "trim_offsets": .bool(false),
      "use_regex": .bool(true),
    ])
    if model.prefixIDs.isEmpty, model.suffixIDs.isEmpty { return byteLevel }
    func special(_ id: Int, _ type: Int) -> JSONValue {
      object(["SpecialToken": object(["id": .string(model.tokens[id].piece), "type_id": .integer(type)])])
    }
    func sequence(_ name: String, _ type: Int) -> [JSONValue] {
      model.prefixIDs.map { special($0, type) }
        + [object(["Sequence": object(["id": .text(name), "type_id": .integer(type)])])]
        + model.suffixIDs.map { special($0, type) }
    }
    var specials = JSONObject()
    for id in model.prefixIDs + model.suffixIDs {
      let piece = model.tokens[id].piece
      specials[piece] = object([
        "id": .string(piece), "ids": .array([.integer(id)]), "tokens": .array([.string(piece)]),
      ])
    }
    let template = object([
      "type": .text("TemplateProcessing"), "single": .array(sequence("A", 0)),
      "pair": .array(sequence("A", 0) + sequence("B", 1)), "special_tokens": .object(specials),
    ])
    return object(["type": .text("Sequence"), "processors": .array([byteLevel, template])])
  }

  private static func configuration(of model: TokenizerModel) -> JSONObject {
    var root = JSONObject()
    if let adds = model.addsBOS { root["add_bos_token"] = .bool(adds) }
    if let adds = model.addsEOS { root["add_eos_token"] = .bool(adds) }
    for role in [TokenizerModel.SpecialRole.bos, .eos, .unk, .sep, .pad, .cls, .mask] {
      guard let id = model.specialIDs[role], model.tokens.indices.contains(id) else { continue }
      root[ByteString("\(role.rawValue)_token")] = .string(model.tokens[id].piece)
    }
    root["clean_up_tokenization_spaces"] = .bool(false)
    if !model.namedChatTemplates.isEmpty {
      let all = model.namedChatTemplates + (model.chatTemplate.map { [.init(name: "default", template: $0)] } ?? [])
      root["chat_template"] = .array(
        all.map { object(["name": .string($0.name), "template": .string($0.template)]) })
    } else if let template = model.chatTemplate {
      root["chat_template"] = .string(template)
    }
    root["tokenizer_class"] = .text("PreTrainedTokenizerFast")
    return root
  }
}
