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

extension JSONError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unexpected(let found, let expected, let offset): "JSON: \(found) at offset \(offset) where \(expected) should be"
    case .endOfText(let offset): "JSON ends too early, at offset \(offset)"
    case .duplicateKey(let key, let offset): "JSON: key \"\(key)\" stands twice, again at offset \(offset)"
    case .invalidEscape(let offset): "JSON: invalid escape at offset \(offset)"
    case .invalidNumber(let offset): "JSON: invalid number at offset \(offset)"
    case .controlCharacter(let offset): "JSON: bare control character in a string at offset \(offset)"
    case .tooDeep(let limit, let offset): "JSON: nested deeper than \(limit) levels at offset \(offset)"
    }
  }
}
