public import Bytes

extension TokenizerModel {
  /// How matches and what lies between them become pieces (the `tokenizers` package's names).
  public enum SplitBehavior: String, Sendable, Hashable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  public enum Pattern: Sendable, Hashable {
    case regex(ByteString)
    case string(ByteString)
  }

  public enum PrependScheme: String, Sendable, Hashable {
    case first, never, always
  }

  /// One step that cuts text into the pieces that no token crosses.
  public enum PreTokenizer: Sendable, Hashable {
    case split(Pattern, SplitBehavior, isInverted: Bool)
    case digits(isIndividual: Bool)
    case byteLevel(addsPrefixSpace: Bool, usesRegex: Bool, trimsOffsets: Bool)
    case punctuation(SplitBehavior)
    case metaspace(replacement: ByteString, prepend: PrependScheme, splits: Bool)
    /// `\w+|[^\w\s]+`, the rest dropped.
    case whitespace
    case whitespaceSplit
    case bert
    case delimiter(ByteString)
  }

  /// One step that rewrites text before it is cut.
  public enum Normalizer: Sendable, Hashable {
    case nfc, nfd, nfkc, nfkd
    case lowercase
    case strip(left: Bool, right: Bool)
    case stripAccents
    case replace(Pattern, ByteString)
    case prepend(ByteString)
    case bert(cleansText: Bool, handlesChinese: Bool, stripsAccents: Bool?, lowercases: Bool)
    /// SentencePiece's compiled character map.
    case precompiled([UInt8])
  }
}
