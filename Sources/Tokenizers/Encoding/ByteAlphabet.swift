package import Bytes

/// GPT-2's spelling of bytes as printable characters: bytes that print stand for themselves, the others for U+0100 on.
package enum ByteAlphabet {
  /// By byte: the scalar that spells it.
  package static let scalars: [UInt32] = {
    var next: UInt32 = 0x100
    return (0..<256).map { byte in
      if (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte) {
        return UInt32(byte)
      }
      defer { next += 1 }
      return next
    }
  }()

  /// By scalar below U+0144: the byte it spells, or −1.
  private static let bytes: [Int16] = {
    var table = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
    return table
  }()

  /// The bytes a piece spells; nil if some character is not of the alphabet.
  package static func decoded(_ piece: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(piece.count)
    let text = piece.span
    let table = bytes.span
    var offset = 0
    while offset < text.count {
      let scalar = UTF8Scalar(text, at: offset, end: text.count)
      guard scalar.value < 0x144, table[Int(scalar.value)] >= 0 else { return nil }
      result.append(UInt8(table[Int(scalar.value)]))
      offset += scalar.byteCount
    }
    return result
  }

  package static func encoded(_ bytes: [UInt8]) -> ByteString {
    var result: [UInt8] = []
    for byte in bytes { result.append(scalar: scalars[Int(byte)]) }
    return ByteString(bytes: result)
  }
}
