internal import Bytes
internal import IR

/// The pre-tokenizers that GGUF files name in `tokenizer.ggml.pre`, as pipelines.
///
/// The names and what they stand for are llama.cpp's (src/llama-vocab.cpp); the patterns are spelled as the models' own
/// tokenizer.json files spell them, which llama.cpp approximates for Tekken and GPT-4o.
struct PreTokenizerRow: Sendable {
  /// The first is the one written.
  var names: [ByteString]
  var steps: [TokenizerModel.PreTokenizer]
  /// What llama.cpp turns on with the name.
  var ignoresMerges = false
  /// Its default where `add_bos_token` is absent.
  var addsBOS = false

  static let byteLevelOnly = TokenizerModel.PreTokenizer.byteLevel(
    addsPrefixSpace: false, usesRegex: false, trimsOffsets: false)
  static let gpt2 = TokenizerModel.PreTokenizer.byteLevel(
    addsPrefixSpace: false, usesRegex: true, trimsOffsets: false)

  private static func regex(_ pattern: ByteString) -> TokenizerModel.PreTokenizer {
    .split(.regex(pattern), .isolated, isInverted: false)
  }

  /// Steps that each isolate a pattern's matches, then the byte alphabet.
  private init(
    _ names: ByteString..., patterns: [ByteString], ignoresMerges: Bool = false, addsBOS: Bool = false
  ) {
    self.init(names, patterns.map(Self.regex) + [Self.byteLevelOnly], ignoresMerges, addsBOS)
  }

  private init(
    _ names: ByteString..., steps: [TokenizerModel.PreTokenizer], ignoresMerges: Bool = false, addsBOS: Bool = false
  ) {
    self.init(names, steps, ignoresMerges, addsBOS)
  }

  private init(
    _ names: [ByteString], _ steps: [TokenizerModel.PreTokenizer], _ ignoresMerges: Bool, _ addsBOS: Bool
  ) {
    self.names = names
    self.steps = steps
    self.ignoresMerges = ignoresMerges
    self.addsBOS = addsBOS
  }

  static func named(_ name: ByteString) -> PreTokenizerRow? { all.first { $0.names.contains(name) } }

  // Parts that several patterns share.
  private static let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
  private static let spaces = #"\s*[\r\n]+|\s+(?!\S)|\s+"#
  private static let words = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
  private static let symbols = #" ?[^\s\p{L}\p{N}]+[\r\n]*"#
  private static let slashSymbols = #" ?[^\s\p{L}\p{N}]+[\r\n/]*"#
  private static let upper = #"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"#
  private static let lower = #"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"#

  private static func llama3(number: String) -> ByteString {
    ByteString("\(contractions)|\(words)|\(number)|\(symbols)|\(spaces)")
  }

  private static func cased(_ ending: String, number: String) -> ByteString {
    let lead = #"[^\r\n\p{L}\p{N}]?"#
    return ByteString(
      "\(lead)\(upper)*\(lower)+\(ending)|\(lead)\(upper)+\(lower)*\(ending)|\(number)|\(slashSymbols)|\(spaces)")
  }

  private static let deepseekLetters: ByteString =
    """
    \\s?[A-Za-z\u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-\u{2AF}\
    \u{370}-\u{373}\u{376}\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}\u{38E}-\u{3A1}\u{3A3}-\
    \u{3F5}\u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}\u{10A0}-\u{10C5}\u{13A0}-\u{13F5}\u{13F8}-\u{13FD}\
    \u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\
    \u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}\u{1F50}-\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\
    \u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}\u{1FBE}\u{1FC2}-\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\
    \u{1FD6}-\u{1FDB}\u{1FE0}-\u{1FEC}\u{1FF2}-\u{1FF4}\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\
    \u{2115}\u{2119}-\u{211D}\u{2124}\u{2126}\u{2128}\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\u{213F}\
    \u{2145}-\u{2149}\u{214E}\u{2183}\u{2184}\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}\u{2CF2}\u{2CF3}\
    \u{A640}-\u{A66D}\u{A680}-\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}\u{A78B}-\u{A78E}\u{AB70}-\u{ABBF}\
    \u{FB00}-\u{FB06}\u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\
    \u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}]+
    """
  private static let ideographs: ByteString = "[\u{4E00}-\u{9FA5}\u{0800}-\u{4E00}\u{AC00}-\u{D7FF}]+"

  static let all: [PreTokenizerRow] = [
    .init(
      "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "gigachat", "a.x-4.0", "mellum",
      "modern-bert",
      "exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling", steps: [gpt2]),
    .init(
      "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2",
      steps: [.digits(isIndividual: true), gpt2]),
    .init(
      "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
      patterns: [llama3(number: #"\p{N}{1,3}"#)], ignoresMerges: true, addsBOS: true),
    .init("glm4", "glm5", patterns: [llama3(number: #"\p{N}{1,3}"#)], ignoresMerges: true),
    .init("dbrx", "smaug-bpe", "chatglm-bpe", patterns: [llama3(number: #"\p{N}{1,3}"#)]),
    .init(
      "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2",
      patterns: [llama3(number: #"\p{N}"#)]),
    .init(
      "qwen35",
      patterns: [
        ByteString(
          contractions + #"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|"# + spaces)
      ]),
    .init(
      "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2",
      patterns: [cased("\(contractions)?", number: #"\p{N}{1,3}"#)]),
    .init("tekken", patterns: [cased("", number: #"\p{N}"#)], ignoresMerges: true, addsBOS: true),
    .init(
      "tiny_aya", "cohere2moe",
      patterns: [#"\d{1,3}(?=(?:\d{3})*\b)"#, cased("\(contractions)?", number: #"\p{N}{1,3}"#)]),
    .init(
      "deepseek-llm",
      patterns: [
        "[\r\n]", deepseekLetters, "\\s?[!-/:-~\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}]+",
        #"\s+$"#, ideographs, #"\p{N}+"#,
      ]),
    .init(
      "deepseek-coder", patterns: ["[\r\n]", #"\s?\p{L}+"#, #"\s?\p{P}+"#, ideographs, #"\p{N}"#]),
    .init(
      "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4",
      patterns: [
        #"\p{N}{1,3}"#, "[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+",
        ByteString(
          ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##
            + #"| ?[\p{P}\p{S}]+[\r\n]*|"# + spaces),
      ]),
    .init("falcon", patterns: [#"[\p{P}$+<=>^~|`]+"#, SplitPipeline.gpt2, "[0-9][0-9][0-9]"]),
    .init(
      "bailingmoe", "bailingmoe2", "llada-moe",
      patterns: [
        #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#
      ]),
    .init(
      "seed-coder",
      patterns: [ByteString("\(contractions)|\(words)|" + #"\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|"# + spaces)]),
    .init("ufakzeka", patterns: [ByteString("\(words)|" + #"\p{N}|"# + "\(symbols)|\(spaces)")]),
    .init("minicpm5", patterns: [#"\p{N}{1,3}"#, llama3(number: #"\p{N}+"#)], ignoresMerges: true),
    .init("laguna", patterns: [#"[^\n]+|[\n]+"#, llama3(number: #"\p{N}"#)]),
    .init("superbpe", patterns: [#"\p{N}+"#, #"(?=(\d{3})+(?!\d))"#]),
    .init("bloom", "poro-chat", "gpt3-finnish", patterns: [#" ?[^(\s|.,!?…。，、।۔،)]+"#]),
    .init("viking", patterns: [#" ?[^(\s|.,!?…。，、।۔،)]+"#, #"\p{N}"#]),
    .init("chameleon", steps: [.digits(isIndividual: true), .punctuation(.isolated), gpt2], addsBOS: true),
    .init("default", patterns: [#"[\p{P}$+<=>^~|]+"#, SplitPipeline.gpt2, #"\p{N}+"#, "[0-9][0-9][0-9]"]),
  ]
}
