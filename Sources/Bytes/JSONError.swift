/// Why some bytes are not JSON, and where.
public enum JSONError: Error, Hashable, Sendable {
  case unexpected(found: String, expected: String, offset: Int)
  case endOfText(offset: Int)
  case duplicateKey(ByteString, offset: Int)
  case invalidEscape(offset: Int)
  case invalidNumber(offset: Int)
  case controlCharacter(offset: Int)
  case tooDeep(limit: Int, offset: Int)
}

extension JSONError {
  /// From the start of the text.
  public var offset: Int {
    switch self {
    case .unexpected(_, _, let offset), .endOfText(let offset), .duplicateKey(_, let offset),
      .invalidEscape(let offset),
      .invalidNumber(let offset), .controlCharacter(let offset), .tooDeep(_, let offset):
      offset
    }
  }

  /// What is wrong, without where.
  public var reason: String {
    switch self {
    case .unexpected(let found, let expected, _): "\(found) where \(expected) should be"
    case .endOfText: "the text ends too early"
    case .duplicateKey(let key, _): "key \"\(key)\" stands twice"
    case .invalidEscape: "invalid escape"
    case .invalidNumber: "invalid number"
    case .controlCharacter: "bare control character in a string"
    case .tooDeep(let limit, _): "nested deeper than \(limit) levels"
    }
  }
}

extension JSONError: CustomStringConvertible {
  public var description: String { "JSON: \(reason), at offset \(offset)" }
}
