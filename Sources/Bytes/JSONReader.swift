extension JSONValue {
  /// Parses one JSON text (RFC 8259), which must fill `bytes` but for white space. Linear time; depth is limited.
  /// Strings are not checked for valid UTF-8: they are bytes. Lone surrogates in escapes become U+FFFD.
  public static func parse(_ bytes: [UInt8], limits: Limits = Limits()) throws(JSONError) -> JSONValue {
    var parser = JSONReader(bytes.span, depthLimit: limits.nestingDepth)
    let value = try parser.value(depth: 0)
    try parser.finish()
    return value
  }
}

/// Reads JSON text value by value, for the few texts whose form is known beforehand and whose every value deserves its
/// own offset in an error (a safetensors header), or that are too long to hold as a tree.
///
/// After `beginObject`, call `nextKey` until it returns nil, reading one value after each key; after `beginArray`,
/// `nextElement` until it returns false.
public struct JSONReader: ~Escapable {
  private let bytes: Span<UInt8>
  private let depthLimit: Int
  /// Where the next read starts (before white space).
  public private(set) var offset = 0
  /// Whether a value of the container being read has gone before.
  private var needsComma = false

  @_lifetime(copy bytes)
  public init(_ bytes: Span<UInt8>, depthLimit: Int) {
    self.bytes = bytes
    self.depthLimit = depthLimit
  }

  /// Throws unless nothing but white space is left.
  @_lifetime(self: copy self)
  public mutating func finish() throws(JSONError) {
    skipSpace()
    if offset < bytes.count { throw unexpected("the end") }
  }

  @_lifetime(self: copy self)
  public mutating func beginObject() throws(JSONError) {
    skipSpace()
    guard take(UInt8(ascii: "{")) else { throw unexpected("'{'") }
    needsComma = false
  }

  /// Reads `null` if that comes next.
  @_lifetime(self: copy self)
  public mutating func takeNull() -> Bool {
    skipSpace()
    let text = Array("null".utf8)
    guard text.count <= bytes.count - offset, text.indices.allSatisfy({ bytes[offset + $0] == text[$0] }) else {
      return false
    }
    offset += text.count
    needsComma = true
    return true
  }

  @_lifetime(self: copy self)
  public mutating func beginArray() throws(JSONError) {
    skipSpace()
    guard take(UInt8(ascii: "[")) else { throw unexpected("'['") }
    needsComma = false
  }

  /// The next member's key and where it stands, or nil after consuming the object's end.
  @_lifetime(self: copy self)
  public mutating func nextKey() throws(JSONError) -> (key: ByteString, offset: Int)? {
    guard try next(closing: UInt8(ascii: "}"), expected: "',' or '}'") else { return nil }
    skipSpace()
    guard offset < bytes.count else { throw .endOfText(offset: offset) }
    guard bytes[offset] == UInt8(ascii: "\"") else { throw unexpected("a key") }
    let keyOffset = offset
    let key = try string()
    skipSpace()
    guard take(UInt8(ascii: ":")) else { throw unexpected("':'") }
    return (key, keyOffset)
  }

  /// Whether another element follows; false after consuming the array's end.
  @_lifetime(self: copy self)
  public mutating func nextElement() throws(JSONError) -> Bool {
    try next(closing: UInt8(ascii: "]"), expected: "',' or ']'")
  }

  @_lifetime(self: copy self)
  private mutating func next(closing: UInt8, expected: String) throws(JSONError) -> Bool {
    skipSpace()
    if take(closing) {
      needsComma = true
      return false
    }
    if needsComma, !take(UInt8(ascii: ",")) { throw unexpected(expected) }
    return true
  }

  @_lifetime(self: copy self)
  public mutating func readString() throws(JSONError) -> ByteString {
    skipSpace()
    guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else { throw unexpected("a string") }
    needsComma = true
    return try string()
  }

  @_lifetime(self: copy self)
  public mutating func readNumber() throws(JSONError) -> JSONNumber {
    skipSpace()
    guard offset < bytes.count, bytes[offset] == UInt8(ascii: "-") || (0x30...0x39).contains(bytes[offset]) else {
      throw unexpected("a number")
    }
    needsComma = true
    return try number()
  }

  @_lifetime(self: copy self)
  public mutating func readValue() throws(JSONError) -> JSONValue {
    let result = try value(depth: 0)
    needsComma = true
    return result
  }

  @_lifetime(self: copy self)
  fileprivate mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard depth < depthLimit else { throw .tooDeep(limit: depthLimit, offset: offset) }
    skipSpace()
    guard offset < bytes.count else { throw .endOfText(offset: offset) }
    switch bytes[offset] {
    case UInt8(ascii: "{"): return .object(try object(depth: depth))
    case UInt8(ascii: "["): return .array(try array(depth: depth))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    default: throw unexpected("a value")
    }
  }

  @_lifetime(self: copy self)
  private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
    var result = JSONObject()
    try beginObject()
    while let (key, keyOffset) = try nextKey() {
      guard result.insert(key, try value(depth: depth + 1)) else { throw .duplicateKey(key, offset: keyOffset) }
      needsComma = true
    }
    return result
  }

  @_lifetime(self: copy self)
  private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
    var result: [JSONValue] = []
    try beginArray()
    while try nextElement() {
      result.append(try value(depth: depth + 1))
      needsComma = true
    }
    return result
  }

  @_lifetime(self: copy self)
  private mutating func string() throws(JSONError) -> ByteString {
    offset += 1
    var result: [UInt8] = []
    var plainStart = offset
    while offset < bytes.count {
      let byte = bytes[offset]
      if byte == UInt8(ascii: "\"") {
        append(plainStart..<offset, to: &result)
        offset += 1
        return ByteString(bytes: result)
      }
      if byte < 0x20 { throw .controlCharacter(offset: offset) }
      if byte == UInt8(ascii: "\\") {
        append(plainStart..<offset, to: &result)
        try escape(into: &result)
        plainStart = offset
      } else {
        offset += 1
      }
    }
    throw .endOfText(offset: offset)
  }

  private func append(_ range: Range<Int>, to result: inout [UInt8]) {
    result.reserveCapacity(result.count + range.count)
    for index in range { result.append(bytes[index]) }
  }

  @_lifetime(self: copy self)
  private mutating func escape(into result: inout [UInt8]) throws(JSONError) {
    let start = offset
    guard offset + 1 < bytes.count else { throw .endOfText(offset: offset) }
    let kind = bytes[offset + 1]
    offset += 2
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(kind)
    case UInt8(ascii: "b"): result.append(8)
    case UInt8(ascii: "f"): result.append(12)
    case UInt8(ascii: "n"): result.append(10)
    case UInt8(ascii: "r"): result.append(13)
    case UInt8(ascii: "t"): result.append(9)
    case UInt8(ascii: "u"):
      var code = try hexadecimal(start)
      if (0xD800..<0xDC00).contains(code), offset + 1 < bytes.count, bytes[offset] == UInt8(ascii: "\\"),
        bytes[offset + 1] == UInt8(ascii: "u")
      {
        let resume = offset
        offset += 2
        let low = try hexadecimal(start)
        if (0xDC00..<0xE000).contains(low) {
          code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        } else {
          offset = resume
        }
      }
      result.append(contentsOf: String(Character(Unicode.Scalar(code) ?? "\u{FFFD}")).utf8)
    default: throw .invalidEscape(offset: start)
    }
  }

  @_lifetime(self: copy self)
  private mutating func hexadecimal(_ start: Int) throws(JSONError) -> UInt32 {
    guard offset + 4 <= bytes.count else { throw .endOfText(offset: offset) }
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[offset])).hexDigitValue else {
        throw .invalidEscape(offset: start)
      }
      code = code << 4 | UInt32(digit)
      offset += 1
    }
    return code
  }

  @_lifetime(self: copy self)
  private mutating func number() throws(JSONError) -> JSONNumber {
    let start = offset
    _ = take(UInt8(ascii: "-"))
    if !take(UInt8(ascii: "0")) { try digits(start) }
    if take(UInt8(ascii: ".")) { try digits(start) }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      try digits(start)
    }
    var literal: [UInt8] = []
    append(start..<offset, to: &literal)
    return JSONNumber(literal: String(decoding: literal, as: UTF8.self))
  }

  @_lifetime(self: copy self)
  private mutating func digits(_ start: Int) throws(JSONError) {
    let first = offset
    while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) { offset += 1 }
    if offset == first { throw .invalidNumber(offset: start) }
  }

  @_lifetime(self: copy self)
  private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    for byte in word.description.utf8 where !take(byte) { throw unexpected("\(word)") }
    return value
  }

  @_lifetime(self: copy self)
  private mutating func take(_ byte: UInt8) -> Bool {
    guard offset < bytes.count, bytes[offset] == byte else { return false }
    offset += 1
    return true
  }

  @_lifetime(self: copy self)
  private mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x0A, 0x0D, 0x09: offset += 1
      default: return
      }
    }
  }

  private func unexpected(_ expected: String) -> JSONError {
    guard offset < bytes.count else { return .endOfText(offset: offset) }
    let byte = bytes[offset]
    let found = (0x21..<0x7F).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
    return .unexpected(found: found, expected: expected, offset: offset)
  }
}
