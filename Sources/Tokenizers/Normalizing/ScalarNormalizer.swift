/// Rewriting that looks at one scalar at a time. Bytes outside valid UTF-8 count as U+FFFD.
enum ScalarNormalizer: Sendable {
  case lowercase
  /// Drops every mark, as `StripAccents` does.
  case stripMarks
  /// Drops nonspacing marks, as BERT's normalizer does.
  case stripNonspacing
  /// Drops control characters, makes any white space a space.
  case clean
  /// Puts spaces around CJK ideographs.
  case spaceIdeographs

  private static let marks = ScalarSet(categories: [.mn, .mc, .me])
  private static let nonspacing = ScalarSet(categories: [.mn])
  private static let dropped = ScalarSet(categories: [.cc, .cf, .co]).intersection(
    ScalarSet(ranges: [0x09..<0x0B, 0x0D..<0x0E]).complement
  ).union(ScalarSet(ranges: [0..<1, 0xFFFD..<0xFFFE]))
  // The blocks that BERT's own code names, with its slip in the fifth.
  private static let ideographs = ScalarSet(ranges: [
    0x4E00..<0xA000, 0x3400..<0x4DC0, 0x20000..<0x2A6E0, 0x2A700..<0x2B740, 0x2B740..<0x2B820, 0x2B920..<0x2CEB0,
    0xF900..<0xFB00, 0x2F800..<0x2FA20,
  ])

  func applied(to text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    let bytes = text.span
    var offset = 0
    while offset < bytes.count {
      let scalar = UTF8Scalar(bytes, at: offset, end: bytes.count)
      let value = scalar.value
      switch self {
      case .lowercase:
        if value < 0x80 {
          result.append(UInt8(value) | ((0x41...0x5A).contains(value) ? 0x20 : 0))
        } else if let unicode = Unicode.Scalar(value) {
          result += unicode.properties.lowercaseMapping.utf8
        }
      case .stripMarks: if value < 0x80 || !Self.marks.contains(value) { result.append(scalar: value) }
      case .stripNonspacing: if value < 0x80 || !Self.nonspacing.contains(value) { result.append(scalar: value) }
      case .clean:
        if ScalarSet.whiteSpace.contains(value), !(0x0B...0x0C).contains(value), value != 0x85 {
          result.append(UInt8(ascii: " "))
        } else if !Self.dropped.contains(value) {
          result.append(scalar: value)
        }
      case .spaceIdeographs:
        if value >= 0x3400, Self.ideographs.contains(value) {
          result.append(UInt8(ascii: " "))
          result.append(scalar: value)
          result.append(UInt8(ascii: " "))
        } else {
          result.append(scalar: value)
        }
      }
      offset += scalar.byteCount
    }
    return result
  }
}
