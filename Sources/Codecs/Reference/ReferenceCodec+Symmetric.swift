internal import IR

/// Q4_0, Q5_0, Q8_0 and kin: x = d · code.
extension ReferenceCodec {
  static let symmetric: [ReferenceCodec] = [
    ReferenceCodec(.q4_0) { bytes in
      let d = bytes.half(at: 0)
      return nibbles(bytes, at: 2).map { Float($0 - 8) * d }
    } encode: { values in
      let (d, inverse) = scale(placing: values, at: -8)
      let codes = values.map { truncated($0 * inverse + 8.5, to: 0...15) }
      return headed(d) + packedNibbles(codes)
    },
    ReferenceCodec(.q5_0) { bytes in
      let d = bytes.half(at: 0)
      let low = nibbles(bytes, at: 6), fifth = bytes.u32(at: 2)
      return (0..<32).map { j in Float((low[j] | Int(fifth >> UInt32(j) & 1) << 4) - 16) * d }
    } encode: { values in
      let (d, inverse) = scale(placing: values, at: -16)
      let codes = values.map { truncated($0 * inverse + 16.5, to: 0...31) }
      return headed(d) + fifthBits(codes) + packedNibbles(codes)
    },
    ReferenceCodec(.q8_0) { bytes in
      let d = bytes.half(at: 0)
      return bytes[2...].map { Float(Int8(bitPattern: $0)) * d }
    } encode: { values in
      let d = values.reduce(0) { max($0, abs($1)) } / 127
      let inverse = d == 0 ? 0 : 1 / d
      return headed(d)
        + values.map { value in
          UInt8(bitPattern: Int8(truncated((value * inverse).rounded(.toNearestOrAwayFromZero), to: -128...127)))
        }
    },
    // Formats of activations, which no file should hold.
    ReferenceCodec(.q8_1) { bytes in bytes[4...].map { Float(Int8(bitPattern: $0)) * bytes.half(at: 0) } },
    ReferenceCodec(.q8_K) { bytes in
      bytes[4..<260].map { Float(Int8(bitPattern: $0)) * Float(bitPattern: bytes.u32(at: 0)) }
    },
  ]

  /// The scale that puts the element of largest magnitude (the first of equals) at code `place`.
  private static func scale(placing values: [Float], at place: Float) -> (scale: Float, inverse: Float) {
    var extreme: Float = 0
    for value in values where abs(value) > abs(extreme) { extreme = value }
    let scale = extreme / place
    return (scale, scale == 0 ? 0 : 1 / scale)
  }

  private static func headed(_ d: Float) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(half: d)
    return bytes
  }

  /// 32 values in 16 bytes: byte j holds element j in its low nibble, element j + 16 in its high one.
  static func nibbles(_ bytes: [UInt8], at offset: Int) -> [Int] {
    let packed = bytes[offset..<offset + 16]
    return packed.map { Int($0 & 15) } + packed.map { Int($0 >> 4) }
  }
  static func packedNibbles(_ codes: [Int]) -> [UInt8] {
    (0..<16).map { j in UInt8(codes[j] & 15 | (codes[j + 16] & 15) << 4) }
  }
  /// Bit j is bit 4 of element j.
  static func fifthBits(_ codes: [Int]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(u32: codes.enumerated().reduce(0) { $0 | UInt32($1.element >> 4 & 1) << UInt32($1.offset) })
    return bytes
  }
}
