/// The header: a Python dictionary as NumPy prints it, of exactly three keys.
struct NumPyHeader {
  private(set) var type = ""
  private(set) var isFortranOrder = false
  private(set) var dimensions: [Int] = []

  /// What is wrong, and where in the header.
  struct Fault: Error {
    let reason: String
    let offset: Int
  }

  init(_ text: [UInt8]) throws(Fault) {
    var parser = PythonLiteralParser(text)
    var seen: Set<String> = []
    try parser.expect("{")
    while !parser.take("}") {
      let start = parser.offset
      let key = try parser.string()
      try parser.expect(":")
      guard seen.insert(key).inserted else { throw Fault(reason: "'\(key)' stands twice", offset: start) }
      switch key {
      case "descr": type = try parser.string()
      case "fortran_order": isFortranOrder = try parser.bool()
      case "shape": dimensions = try parser.integers()
      default: throw Fault(reason: "no such key as '\(key)'", offset: start)
      }
      if !parser.take(",") {
        try parser.expect("}")
        break
      }
    }
    try parser.finish()
    guard seen.count == 3 else {
      throw Fault(reason: "descr, fortran_order and shape are needed", offset: 0)
    }
  }
}

/// As much of Python's literals as the header uses.
private struct PythonLiteralParser {
  private let text: [UInt8]
  private(set) var offset = 0

  init(_ text: [UInt8]) { self.text = text }

  private mutating func skipSpace() {
    while offset < text.count, text[offset] == 0x20 || text[offset] == 0x0A { offset += 1 }
  }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard offset < text.count, text[offset] == UInt8(ascii: character) else { return false }
    offset += 1
    return true
  }

  mutating func expect(_ character: Unicode.Scalar) throws(NumPyHeader.Fault) {
    guard take(character) else { throw NumPyHeader.Fault(reason: "no '\(character)'", offset: offset) }
  }

  mutating func finish() throws(NumPyHeader.Fault) {
    skipSpace()
    guard offset == text.count else { throw NumPyHeader.Fault(reason: "something follows it", offset: offset) }
  }

  mutating func string() throws(NumPyHeader.Fault) -> String {
    let quote: UInt8 = take("'") ? UInt8(ascii: "'") : UInt8(ascii: "\"")
    if quote == UInt8(ascii: "\"") { try expect("\"") }
    let start = offset
    while offset < text.count, text[offset] != quote, text[offset] != UInt8(ascii: "\\") { offset += 1 }
    guard offset < text.count, text[offset] == quote else {
      throw NumPyHeader.Fault(reason: "a string without an end", offset: start)
    }
    offset += 1
    return String(decoding: text[start..<offset - 1], as: UTF8.self)
  }

  mutating func bool() throws(NumPyHeader.Fault) -> Bool {
    skipSpace()
    for (word, value) in [("True", true), ("False", false)] where text[offset...].starts(with: word.utf8) {
      offset += word.utf8.count
      return value
    }
    throw NumPyHeader.Fault(reason: "neither True nor False", offset: offset)
  }

  /// `()`, `(3,)`, `(3, 4)`; Python 2 put an L behind large numbers.
  mutating func integers() throws(NumPyHeader.Fault) -> [Int] {
    var result: [Int] = []
    try expect("(")
    while !take(")") {
      skipSpace()
      let start = offset
      var value = 0
      var digitCount = 0
      while offset < text.count, (0x30...0x39).contains(text[offset]) {
        let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
        let (sum, overflow) = tens.addingReportingOverflow(Int(text[offset]) - 0x30)
        if tooLarge || overflow { throw NumPyHeader.Fault(reason: "an axis is too long", offset: start) }
        value = sum
        digitCount += 1
        offset += 1
      }
      guard digitCount > 0 else { throw NumPyHeader.Fault(reason: "an axis is not a whole number", offset: start) }
      _ = take("L")
      result.append(value)
      if !take(",") {
        try expect(")")
        break
      }
    }
    return result
  }
}
