public import Bytes
public import IR

/// BERT's `vocab.txt`: one token a line, its number is the line's; the tokenizer of checkpoints from before
/// tokenizer.json. What it leaves open tokenizer_config.json says, and BERT's defaults else; text becomes lower case unless
/// a token holds a capital. A vocabulary of atoms (rxnmapper, rxnfp, DeepChem) cuts chemical formulae instead of words.
public enum WordPieceVocabulary {
  /// - Parameters:
  ///   - vocabulary: the bytes of vocab.txt
  ///   - configuration: the bytes of tokenizer_config.json
  /// - Throws: as tokenizer.json does; a token that stands twice is an error.
  public static func read(
    vocabulary: [UInt8], configuration: [UInt8]? = nil, modelConfiguration: JSONObject? = nil, limits: Limits = Limits()
  ) throws(TokenizerError) -> TokenizerModel {
    var lines = vocabulary.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    var numbers = JSONObject()
    for (number, line) in lines.enumerated() {
      let token = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      numbers[ByteString(bytes: Array(token))] = .integer(number)
    }
    var settings: JSONObject?
    if let configuration {
      do { settings = try JSONValue.parse(configuration, limits: limits).object } catch {
        throw .json(file: "tokenizer_config.json", error)
      }
    }
    func word(_ key: ByteString, _ usual: ByteString) -> ByteString {
      settings?[key]?.string ?? settings?[key]?["content"]?.string ?? usual
    }
    let unknown = word("unk_token", "[UNK]")
    let start = word("cls_token", "[CLS]")
    let end = word("sep_token", "[SEP]")
    var special: [JSONValue] = []
    for token in [word("pad_token", "[PAD]"), unknown, start, end, word("mask_token", "[MASK]")] {
      guard let number = numbers[token] else { continue }
      special.append(.object(["id": number, "content": .string(token), "special": .bool(true)]))
    }
    var root = JSONObject()
    root["added_tokens"] = .array(special)
    if isSMILES(numbers) {
      root["pre_tokenizer"] = .object([
        "type": .text("Split"), "pattern": .object(["Regex": .text(smiles)]), "behavior": .text("Removed"),
        "invert": .bool(true),
      ])
    } else {
      root["normalizer"] = .object([
        "type": .text("BertNormalizer"), "clean_text": .bool(true),
        "handle_chinese_chars": .bool(settings?["tokenize_chinese_chars"]?.bool ?? true),
        "strip_accents": settings?["strip_accents"] ?? .null,
        "lowercase": .bool(settings?["do_lower_case"]?.bool ?? !isCased(numbers.keys)),
      ])
      root["pre_tokenizer"] = .object(["type": .text("BertPreTokenizer")])
    }
    if let first = numbers[start], let last = numbers[end] {
      root["post_processor"] = .object([
        "type": .text("BertProcessing"), "sep": .array([.string(end), last]), "cls": .array([.string(start), first]),
      ])
    }
    root["decoder"] = .object(["type": .text("WordPiece"), "prefix": .text("##"), "cleanup": .bool(true)])
    root["model"] = .object([
      "type": .text("WordPiece"), "unk_token": .string(unknown), "continuing_subword_prefix": .text("##"),
      "max_input_chars_per_word": .integer(100), "vocab": .object(numbers),
    ])
    return try TokenizerJSON.read(
      tokenizer: JSONValue.object(root).serialized(), configuration: configuration,
      modelConfiguration: modelConfiguration, limits: limits)
  }

  /// The atoms, bonds and rings of a SMILES formula (Schwaller et al. 2018); what is none of them is left out.
  private static let smiles =
    #"\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|\%[0-9]{2}|[0-9]"#

  /// No word goes on in another token, and a chiral carbon is one.
  private static func isSMILES(_ tokens: JSONObject) -> Bool {
    tokens["[C@@H]"] != nil && tokens["c"] != nil && !tokens.keys.contains { $0.hasPrefix("##") }
  }

  /// Whether an ordinary token has a capital letter, which no text in lower case could reach.
  private static func isCased(_ tokens: [ByteString]) -> Bool {
    tokens.contains { token in
      token.bytes.first != UInt8(ascii: "[")
        && token.bytes.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
    }
  }
}
