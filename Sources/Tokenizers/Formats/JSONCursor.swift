internal import Bytes

/// A JSON value with the path that led to it, so that every complaint says where.
struct JSONCursor {
  let value: JSONValue
  let path: String

  subscript(key: ByteString) -> JSONCursor? {
    guard let member = value[key], !member.isNull else { return nil }
    return JSONCursor(value: member, path: path.isEmpty ? key.text : "\(path).\(key)")
  }

  func required(_ key: ByteString) throws(TokenizerError) -> JSONCursor {
    guard let member = self[key] else { throw .missing(path: path.isEmpty ? key.text : "\(path).\(key)") }
    return member
  }

  func string() throws(TokenizerError) -> ByteString {
    guard let string = value.string else { throw .wrongType(path: path, expected: "a string") }
    return string
  }

  func bool() throws(TokenizerError) -> Bool {
    guard let bool = value.bool else { throw .wrongType(path: path, expected: "true or false") }
    return bool
  }

  /// An integer from 0 that fits a token id.
  func id() throws(TokenizerError) -> Int {
    guard let id = value.int, (0..<1 << 31).contains(id) else { throw .wrongType(path: path, expected: "a token id") }
    return id
  }

  func object() throws(TokenizerError) -> JSONObject {
    guard let object = value.object else { throw .wrongType(path: path, expected: "an object") }
    return object
  }

  func array() throws(TokenizerError) -> [JSONCursor] {
    guard let array = value.array else { throw .wrongType(path: path, expected: "an array") }
    return array.enumerated().map { JSONCursor(value: $1, path: "\(path)[\($0)]") }
  }

  /// A flag, with the default the format gives it when absent.
  func flag(_ key: ByteString, default absent: Bool = false) throws(TokenizerError) -> Bool {
    try self[key]?.bool() ?? absent
  }
}
