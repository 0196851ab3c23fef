public import Bytes

/// A vocabulary and everything that decides how text becomes token ids, as data.
///
/// Read from tokenizer.json or from GGUF metadata by `Tokenizers`, written to either; a token's id is its place in
/// `tokens`. What the source said beyond this is kept whole in `source`, so that a file of the same kind gets it back.
public struct TokenizerModel: Sendable {
  public enum Algorithm: String, Sendable, Hashable, CaseIterable {
    /// Merges over bytes spelled as printable characters: GPT-2, Llama 3, Qwen.
    case byteLevelBPE
    /// Merges over characters, unknown ones as `<0xNN>` bytes: Llama 2, Mistral, Gemma.
    case sentencePieceBPE
    /// The likeliest segmentation: T5, XLM-RoBERTa.
    case unigram
    /// Greedy longest match: BERT.
    case wordPiece
  }

  public var algorithm: Algorithm
  public var tokens: [Token]
  /// In order of rank, best first.
  public var merges: [Merge]
  /// Pieces that merges name and the vocabulary lacks; piece number `tokens.count + i` is `mergePieces[i]`.
  public var mergePieces: [ByteString]
  /// A word that is itself a token is not taken apart to be merged again (Llama 3).
  public var ignoresMerges: Bool
  public var normalizers: [Normalizer]
  public var preTokenizers: [PreTokenizer]
  public var addedTokens: [AddedToken]
  public var specialIDs: [SpecialRole: Int]
  /// Whether encoding puts the role's token before or after the text; absent where the source does not say.
  public var addsBOS: Bool?
  public var addsEOS: Bool?
  /// Tokens put before and after one text, as the source's template or flags say.
  public var prefixIDs: [Int]
  public var suffixIDs: [Int]
  /// A word's later pieces begin with this (WordPiece: `##`).
  public var continuationPrefix: ByteString
  public var chatTemplate: ByteString?
  /// Further chat templates by name (`tool_use`, `rag`).
  public var namedChatTemplates: [NamedTemplate]
  public var source: Source

  public init(algorithm: Algorithm, tokens: [Token], merges: [Merge] = []) {
    self.algorithm = algorithm
    self.tokens = tokens
    self.merges = merges
    mergePieces = []
    ignoresMerges = false
    normalizers = []
    preTokenizers = []
    addedTokens = []
    specialIDs = [:]
    prefixIDs = []
    suffixIDs = []
    continuationPrefix = ""
    namedChatTemplates = []
    source = .none
  }
}

extension TokenizerModel {
  public struct Token: Sendable, Hashable {
    /// As the file spells it: `Ġthe`, `▁the`, `<0x0A>`.
    public var piece: ByteString
    public var score: Float
    public var kind: TokenKind

    public init(_ piece: ByteString, score: Float = 0, kind: TokenKind = .normal) {
      self.piece = piece
      self.score = score
      self.kind = kind
    }
  }

  /// Raw values are GGUF's.
  public enum TokenKind: Int32, Sendable, Hashable {
    case undefined = 0
    case normal, unknown, control, userDefined, unused, byte
  }

  /// Two pieces that become one. Numbers are token ids, or beyond them `mergePieces`.
  public struct Merge: Sendable, Hashable {
    public var left: UInt32
    public var right: UInt32

    public init(left: UInt32, right: UInt32) {
      self.left = left
      self.right = right
    }
  }

  /// A token found in the text before anything else looks at it.
  public struct AddedToken: Sendable, Hashable {
    public var id: Int
    public var content: ByteString
    /// Left out of decoded text on request, and taken for plain text unless special tokens are wanted.
    public var isSpecial = false
    /// Takes the white space before it along; `stripsRight` that after it.
    public var stripsLeft = false
    public var stripsRight = false
    public var isSingleWord = false
    /// Looked for in the normalized text instead of the raw one.
    public var isNormalized = false

    public init(id: Int, content: ByteString) {
      self.id = id
      self.content = content
    }
  }

  public struct NamedTemplate: Sendable, Hashable {
    public var name: ByteString
    public var template: ByteString

    public init(name: ByteString, template: ByteString) {
      self.name = name
      self.template = template
    }
  }

  /// What a token is for. The raw value is Hugging Face's name without `_token`.
  public enum SpecialRole: String, Sendable, Hashable, CaseIterable {
    case bos, eos, unk, sep, pad, cls, mask, eot, eom
    case fimPrefix = "fim_pre"
    case fimSuffix = "fim_suf"
    case fimMiddle = "fim_mid"
    case fimPad = "fim_pad"
    case fimRepository = "fim_rep"
    case fimSeparator = "fim_sep"
  }

  public enum Source: Sendable {
    case none
    /// The files' bytes as they were.
    case huggingFace(tokenizer: [UInt8], configuration: [UInt8]?)
    /// Every `tokenizer.*` entry as it was.
    case gguf(Metadata)
  }

  public var bosID: Int? { specialIDs[.bos] }
  public var eosID: Int? { specialIDs[.eos] }
  public var unknownID: Int? { specialIDs[.unk] }
  public var paddingID: Int? { specialIDs[.pad] }
}
