internal import IR

extension ReferenceCodec {
  static let plainNumbers: [ReferenceCodec] = [
    ReferenceCodec(.f32, decode: { [Float(bitPattern: $0.u32(at: 0))] }) { values in
      var bytes: [UInt8] = []
      bytes.append(u32: values[0].bitPattern)
      return bytes
    },
    ReferenceCodec(.f16, decode: { [$0.half(at: 0)] }) { values in
      var bytes: [UInt8] = []
      bytes.append(half: values[0])
      return bytes
    },
    ReferenceCodec(.bf16, decode: { [quieted(UInt32($0.u16(at: 0)) << 16)] }) { values in
      // To nearest, ties to even, in the upper half of the bits; a carry into the exponent is right as it is.
      let bits = values[0].bitPattern
      let upper = UInt16(truncatingIfNeeded: bits >> 16)
      let rounded = UInt16(truncatingIfNeeded: (UInt64(bits) + 0x7fff + UInt64(upper & 1)) >> 16)
      var bytes: [UInt8] = []
      bytes.append(u16: values[0].isNaN ? upper | 0x40 : rounded)
      return bytes
    },
    ReferenceCodec(.f64, decode: { [Float(Double(bitPattern: $0.u64(at: 0)))] }),
    ReferenceCodec(.f8e4m3) { [eightBitFloat($0[0], mantissaBits: 3, bias: 7, hasInfinity: false)] },
    ReferenceCodec(.f8e5m2) { [eightBitFloat($0[0], mantissaBits: 2, bias: 15, hasInfinity: true)] },
    ReferenceCodec(.i8) { [Float(Int8(bitPattern: $0[0]))] },
    ReferenceCodec(.i16) { [Float(Int16(bitPattern: $0.u16(at: 0)))] },
    ReferenceCodec(.i32) { [Float(Int32(bitPattern: $0.u32(at: 0)))] },
    ReferenceCodec(.i64) { [Float(Int64(bitPattern: $0.u64(at: 0)))] },
    ReferenceCodec(.u8) { [Float($0[0])] },
    ReferenceCodec(.bool) { [Float($0[0])] },
    ReferenceCodec(.u16) { [Float($0.u16(at: 0))] },
    ReferenceCodec(.u32) { [Float($0.u32(at: 0))] },
    ReferenceCodec(.u64) { [Float($0.u64(at: 0))] },
  ]

  /// A float from its bits, a signalling NaN made quiet as conversion instructions do.
  private static func quieted(_ bits: UInt32) -> Float {
    Float(bitPattern: bits & 0x7fff_ffff > 0x7f80_0000 ? bits | 0x40_0000 : bits)
  }

  private static func eightBitFloat(_ byte: UInt8, mantissaBits: Int, bias: Int, hasInfinity: Bool) -> Float {
    let sign: Float = byte & 0x80 == 0 ? 1 : -1
    let mantissa = Int(byte) & ((1 << mantissaBits) - 1)
    let exponent = (Int(byte) & 0x7f) >> mantissaBits
    let largestExponent = (0x7f >> mantissaBits)
    if exponent == largestExponent && (hasInfinity || mantissa == (1 << mantissaBits) - 1) {
      return mantissa == 0 ? sign * .infinity : .nan
    }
    // Subnormals have the exponent of the smallest normal and no leading one.
    let significand = exponent == 0 ? mantissa : mantissa | 1 << mantissaBits
    return sign * Float(sign: .plus, exponent: max(exponent, 1) - bias - mantissaBits, significand: Float(significand))
  }
}
