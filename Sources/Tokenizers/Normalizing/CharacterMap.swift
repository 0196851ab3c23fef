/// SentencePiece's compiled normalization: the longest mapped prefix at each place is replaced.
///
///     u32 byteCount | double array of u32 units, byteCount bytes | replacements, each ended by a zero byte
///
/// A unit (Darts-clone): bits 0–7 label, 8 has a leaf, 9 wide offset, 10–30 offset; a leaf's unit is its value.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  init(_ bytes: [UInt8], path: String) throws(TokenizerError) {
    func word(_ offset: Int) -> UInt32 {
      var word: UInt32 = 0
      for place in 0..<4 { word = word << 8 | UInt32(bytes[offset + 3 - place]) }
      return word
    }
    guard bytes.count >= 4 else {
      units = []
      replacements = []
      if bytes.isEmpty { return }
      throw .invalid(path: path, "the character map is too short")
    }
    let length = Int(word(0))
    guard length % 4 == 0, length <= bytes.count - 4 else {
      throw .invalid(path: path, "the character map's length is wrong")
    }
    units = stride(from: 4, to: 4 + length, by: 4).map(word)
    replacements = Array(bytes[(4 + length)...])
  }

  func applied(to text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    let bytes = text.span
    var offset = 0
    while offset < bytes.count {
      if let (value, length) = longestPrefix(bytes, offset), value < replacements.count {
        var end = value
        while end < replacements.count, replacements[end] != 0 { end += 1 }
        result += replacements[value..<end]
        offset += length
        continue
      }
      let scalar = UTF8Scalar(bytes, at: offset, end: bytes.count)
      // As SentencePiece does with malformed text.
      result.append(scalar: scalar.value)
      offset += scalar.byteCount
    }
    return result
  }

  private func longestPrefix(_ text: Span<UInt8>, _ start: Int) -> (value: Int, length: Int)? {
    guard let root = units.first else { return nil }
    var found: (Int, Int)?
    var node = Self.offset(root)
    var position = start
    while position < text.count {
      let byte = text[position]
      node ^= Int(byte)
      guard node < units.count else { return found }
      let unit = units[node]
      // A leaf's unit has its top bit set and so is no label.
      guard unit & 0x8000_00FF == UInt32(byte) else { return found }
      node ^= Self.offset(unit)
      position += 1
      if unit >> 8 & 1 == 1, node < units.count { found = (Int(units[node] & 0x7FFF_FFFF), position - start) }
    }
    return found
  }

  private static func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & (1 << 9)) >> 6)) }
}
