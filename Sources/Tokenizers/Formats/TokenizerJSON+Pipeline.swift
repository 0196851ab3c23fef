internal import Bytes
internal import IR

/// The normalizer, pre_tokenizer and post_processor members.
extension TokenizerJSON {
  static func readPreTokenizers(_ step: JSONCursor) throws(TokenizerError) -> [TokenizerModel.PreTokenizer] {
    let type = try step.required("type").string()
    switch type {
    case "Sequence":
      var steps: [TokenizerModel.PreTokenizer] = []
      for inner in try step.required("pretokenizers").array() { steps += try readPreTokenizers(inner) }
      return steps
    case "Split":
      return [
        .split(
          try readPattern(step.required("pattern")), try readBehavior(step.required("behavior")),
          isInverted: try step.flag("invert"))
      ]
    case "Digits": return [.digits(isIndividual: try step.flag("individual_digits"))]
    case "ByteLevel":
      return [
        .byteLevel(
          addsPrefixSpace: try step.flag("add_prefix_space", default: true),
          usesRegex: try step.flag("use_regex", default: true),
          trimsOffsets: try step.flag("trim_offsets", default: true))
      ]
    case "Punctuation": return [.punctuation(try step["behavior"].map(readBehavior) ?? .isolated)]
    case "Whitespace": return [.whitespace]
    case "WhitespaceSplit": return [.whitespaceSplit]
    case "BertPreTokenizer": return [.bert]
    case "CharDelimiterSplit": return [.delimiter(try step.required("delimiter").string())]
    case "Metaspace":
      let scheme: TokenizerModel.PrependScheme
      if let name = step["prepend_scheme"] {
        guard let known = TokenizerModel.PrependScheme(rawValue: try name.string().text) else {
          throw .unsupported(path: name.path, try name.string().text)
        }
        scheme = known
      } else {
        scheme = try step.flag("add_prefix_space", default: true) ? .always : .never
      }
      return [
        .metaspace(
          replacement: try step["replacement"]?.string() ?? "\u{2581}", prepend: scheme,
          splits: try step.flag("split", default: true))
      ]
    default: throw .unsupported(path: "\(step.path).type", type.text)
    }
  }

  private static func readPattern(_ pattern: JSONCursor) throws(TokenizerError) -> TokenizerModel.Pattern {
    if let regex = pattern["Regex"] { return .regex(try regex.string()) }
    return .string(try pattern.required("String").string())
  }

  private static func readBehavior(_ behavior: JSONCursor) throws(TokenizerError) -> TokenizerModel.SplitBehavior {
    guard let known = TokenizerModel.SplitBehavior(rawValue: try behavior.string().text) else {
      throw .unsupported(path: behavior.path, try behavior.string().text)
    }
    return known
  }

  static func readNormalizers(_ step: JSONCursor) throws(TokenizerError) -> [TokenizerModel.Normalizer] {
    let type = try step.required("type").string()
    switch type {
    case "Sequence":
      var steps: [TokenizerModel.Normalizer] = []
      for inner in try step.required("normalizers").array() { steps += try readNormalizers(inner) }
      return steps
    case "NFC": return [.nfc]
    case "NFD": return [.nfd]
    case "NFKC": return [.nfkc]
    case "NFKD": return [.nfkd]
    case "Lowercase": return [.lowercase]
    case "StripAccents": return [.stripAccents]
    case "Strip":
      return [
        .strip(left: try step.flag("strip_left", default: true), right: try step.flag("strip_right", default: true))
      ]
    case "Replace":
      return [.replace(try readPattern(step.required("pattern")), try step.required("content").string())]
    case "Prepend": return [.prepend(try step.required("prepend").string())]
    case "BertNormalizer":
      return [
        .bert(
          cleansText: try step.flag("clean_text", default: true),
          handlesChinese: try step.flag("handle_chinese_chars", default: true),
          stripsAccents: try step["strip_accents"]?.bool(), lowercases: try step.flag("lowercase", default: true))
      ]
    case "Precompiled":
      let map = try step.required("precompiled_charsmap")
      guard let bytes = Base64.decoded(try map.string().bytes) else {
        throw .wrongType(path: map.path, expected: "Base64")
      }
      return [.precompiled(bytes)]
    default: throw .unsupported(path: "\(step.path).type", type.text)
    }
  }

  /// The tokens put around one text. A template's other uses (pairs, type ids) are not ours.
  static func readPostProcessor(_ step: JSONCursor, into model: inout TokenizerModel) throws(TokenizerError) {
    switch try step.required("type").string() {
    case "Sequence":
      for inner in try step.required("processors").array() { try readPostProcessor(inner, into: &model) }
    case "TemplateProcessing": try readTemplate(step, into: &model)
    case "BertProcessing", "RobertaProcessing":
      model.prefixIDs = [try tokenPair(step.required("cls"))]
      model.suffixIDs = [try tokenPair(step.required("sep"))]
    default: break
    }
  }

  private static func tokenPair(_ pair: JSONCursor) throws(TokenizerError) -> Int {
    let items = try pair.array()
    guard items.count == 2 else { throw .wrongType(path: pair.path, expected: "a token and its id") }
    return try items[1].id()
  }

  private static func readTemplate(_ step: JSONCursor, into model: inout TokenizerModel) throws(TokenizerError) {
    var seenText = false
    var prefix: [Int] = []
    var suffix: [Int] = []
    for item in try step.required("single").array() {
      if item["Sequence"] != nil {
        seenText = true
        continue
      }
      let name = try item.required("SpecialToken").required("id").string()
      let special = try step.required("special_tokens").required(name)
      for id in try special.required("ids").array() {
        if seenText { suffix.append(try id.id()) } else { prefix.append(try id.id()) }
      }
    }
    model.prefixIDs = prefix
    model.suffixIDs = suffix
  }

  static func readConfiguration(_ root: JSONCursor, into model: inout TokenizerModel) throws(TokenizerError) {
    var index: [ByteString: Int] = [:]
    for (id, token) in model.tokens.enumerated() { index[token.piece] = id }
    for role in TokenizerModel.SpecialRole.allCases {
      guard let entry = root[ByteString("\(role.rawValue)_token")] else { continue }
      let content = entry.value.object == nil ? try entry.string() : try entry.required("content").string()
      if let id = index[content] { model.specialIDs[role] = id }
    }
    model.addsBOS = try root["add_bos_token"]?.bool()
    model.addsEOS = try root["add_eos_token"]?.bool()
    // Transformers rebuilds the template from these flags.
    if let adds = model.addsBOS, let id = model.bosID {
      model.prefixIDs.removeAll { $0 == id }
      if adds { model.prefixIDs.insert(id, at: 0) }
    }
    if let adds = model.addsEOS, let id = model.eosID {
      model.suffixIDs.removeAll { $0 == id }
      if adds { model.suffixIDs.append(id) }
    }
    guard let template = root["chat_template"] else { return }
    if template.value.array == nil {
      model.chatTemplate = try template.string()
      return
    }
    for entry in try template.array() {
      let named = TokenizerModel.NamedTemplate(
        name: try entry.required("name").string(), template: try entry.required("template").string())
      if named.name == "default" { model.chatTemplate = named.template } else { model.namedChatTemplates.append(named) }
    }
  }

  /// `bos_token_id` and the like in config.json; of a list of ids the first counts.
  static func readSpecialIDs(_ configuration: JSONObject, into model: inout TokenizerModel) {
    for role in TokenizerModel.SpecialRole.allCases where model.specialIDs[role] == nil {
      guard let value = configuration[ByteString("\(role.rawValue)_token_id")],
        let id = value.int ?? value.array?.first?.int, model.tokens.indices.contains(id)
      else { continue }
      model.specialIDs[role] = id
    }
  }
}
