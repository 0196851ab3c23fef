/// One step of UTF-8 decoding that never fails: a byte that begins no valid sequence is U+FFFD, one byte long.
struct UTF8Scalar {
  let value: UInt32
  let byteCount: Int

  static let replacement: UInt32 = 0xFFFD

  @inline(__always)
  init(_ bytes: Span<UInt8>, at offset: Int, end: Int) {
    let first = bytes[offset]
    if first < 0x80 {
      value = UInt32(first)
      byteCount = 1
      return
    }
    func continuation(_ distance: Int) -> UInt32? {
      guard offset + distance < end else { return nil }
      let byte = bytes[offset + distance]
      return byte & 0xC0 == 0x80 ? UInt32(byte & 0x3F) : nil
    }
    switch first {
    case 0xC2...0xDF:
      if let a = continuation(1) {
        value = UInt32(first & 0x1F) << 6 | a
        byteCount = 2
        return
      }
    case 0xE0...0xEF:
      if let a = continuation(1), let b = continuation(2) {
        let scalar = UInt32(first & 0x0F) << 12 | a << 6 | b
        if scalar >= 0x800, !(0xD800..<0xE000).contains(scalar) {
          value = scalar
          byteCount = 3
          return
        }
      }
    case 0xF0...0xF4:
      if let a = continuation(1), let b = continuation(2), let c = continuation(3) {
        let scalar = UInt32(first & 0x07) << 18 | a << 12 | b << 6 | c
        if (0x10000..<0x110000).contains(scalar) {
          value = scalar
          byteCount = 4
          return
        }
      }
    default: break
    }
    value = Self.replacement
    byteCount = 1
  }
}

extension [UInt8] {
  /// Appends a scalar's UTF-8.
  mutating func append(scalar: UInt32) {
    switch scalar {
    case 0..<0x80: append(UInt8(scalar))
    case 0x80..<0x800:
      append(UInt8(0xC0 | scalar >> 6))
      append(UInt8(0x80 | scalar & 0x3F))
    case 0x800..<0x10000:
      append(UInt8(0xE0 | scalar >> 12))
      append(UInt8(0x80 | scalar >> 6 & 0x3F))
      append(UInt8(0x80 | scalar & 0x3F))
    default:
      append(UInt8(0xF0 | scalar >> 18))
      append(UInt8(0x80 | scalar >> 12 & 0x3F))
      append(UInt8(0x80 | scalar >> 6 & 0x3F))
      append(UInt8(0x80 | scalar & 0x3F))
    }
  }

  /// The scalars, with invalid bytes as U+FFFD.
  var scalars: [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(count)
    let bytes = span
    var offset = 0
    while offset < bytes.count {
      let scalar = UTF8Scalar(bytes, at: offset, end: bytes.count)
      result.append(scalar.value)
      offset += scalar.byteCount
    }
    return result
  }

  /// Whether every byte belongs to a valid UTF-8 sequence.
  var isValidUTF8: Bool {
    let bytes = span
    var offset = 0
    while offset < bytes.count {
      let scalar = UTF8Scalar(bytes, at: offset, end: bytes.count)
      if scalar.byteCount == 1, bytes[offset] >= 0x80 { return false }
      offset += scalar.byteCount
    }
    return true
  }
}
