internal import IR

/// IQ4_NL, IQ4_XS, MXFP4, NVFP4: codes that index a table of levels.
extension ReferenceCodec {
  static let levels: [ReferenceCodec] = [
    ReferenceCodec(.iq4_NL) { bytes in
      let d = bytes.half(at: 0)
      return nibbles(bytes, at: 2).map { d * nonlinear[$0] }
    },
    ReferenceCodec(.iq4_XS) { bytes in
      let d = bytes.half(at: 0)
      return (0..<8).flatMap { j in
        let low = Int(bytes[4 + j / 2]) >> (4 * (j % 2)) & 15, high = Int(bytes.u16(at: 2)) >> (2 * j) & 3
        let scale = d * Float((low | high << 4) - 32)
        return nibbles(bytes, at: 8 + 16 * j).map { scale * nonlinear[$0] }
      }
    },
    ReferenceCodec(.mxfp4) { bytes in
      // Two to the power exponent − 127, halved because the levels are doubled.
      let scale = Float(sign: .plus, exponent: Int(bytes[0]) - 128, significand: 1)
      return nibbles(bytes, at: 1).map { scale * doubledE2M1[$0] }
    },
    ReferenceCodec(.nvfp4) { bytes in
      (0..<4).flatMap { s -> [Float] in
        let scale = halvedE4M3(bytes[s])
        let packed = bytes[4 + 8 * s..<12 + 8 * s]
        return (packed.map { $0 & 15 } + packed.map { $0 >> 4 }).map { scale * doubledE2M1[Int($0)] }
      }
    },
  ]

  private static let nonlinear: [Float] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
  private static let doubledE2M1: [Float] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

  /// ggml reads E4M3's NaN as zero and does not look at the sign.
  private static func halvedE4M3(_ byte: UInt8) -> Float {
    let exponent = Int(byte >> 3 & 15), mantissa = Int(byte & 7)
    if byte == 0x7f { return 0 }
    let significand = exponent == 0 ? mantissa : 8 + mantissa
    return Float(sign: .plus, exponent: max(exponent, 1) - 11, significand: Float(significand))
  }
}
