/// Why a pattern is refused, or why matching one was given up. Offsets count the pattern's scalars.
public enum RegexError: Error, Hashable, Sendable {
  case invalidUTF8
  case syntax(String, offset: Int)
  /// Valid elsewhere, but no tokenizer needs it: back references, variable look-behind, `(?x)`.
  case unsupported(String, offset: Int)
  case unknownProperty(String, offset: Int)
  case tooDeep(limit: Int)
  /// The compiled pattern would have more instructions or character classes than the engine allows.
  case tooLarge(limit: Int)
  /// Matching took more steps than the text's length justifies.
  case stepLimit(limit: Int)
}

extension RegexError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .invalidUTF8: "the pattern is not UTF-8"
    case .syntax(let what, let offset): "\(what) at \(offset)"
    case .unsupported(let what, let offset): "\(what) at \(offset) is not supported"
    case .unknownProperty(let name, let offset): "unknown property \"\(name)\" at \(offset)"
    case .tooDeep(let limit): "groups nested deeper than \(limit)"
    case .tooLarge(let limit): "larger than \(limit) when compiled"
    case .stepLimit(let limit): "matching took more than \(limit) steps"
    }
  }
}
