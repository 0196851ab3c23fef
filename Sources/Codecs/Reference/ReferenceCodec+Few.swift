internal import IR

/// Q1_0, Q2_0, TQ1_0, TQ2_0: one and two bits, ternary digits.
extension ReferenceCodec {
  static let fewBits: [ReferenceCodec] = [
    ReferenceCodec(.q1_0) { bytes in
      let d = bytes.half(at: 0)
      return (0..<128).map { bytes[2 + $0 / 8] >> UInt8($0 % 8) & 1 == 1 ? d : -d }
    },
    ReferenceCodec(.q2_0) { bytes in
      let d = bytes.half(at: 0)
      return (0..<64).map { Float(Int(bytes[2 + $0 / 4] >> UInt8(2 * ($0 % 4)) & 3) - 1) * d }
    } encode: { values in
      // The largest magnitude is code 1, so code 2 has no use.
      let d = values.reduce(0) { max($0, abs($1)) }
      let inverse = d > 0 ? 1 / d : 0
      let codes = values.map { truncated(($0 * inverse).rounded(.toNearestOrAwayFromZero) + 1, to: 0...3) }
      var bytes: [UInt8] = []
      bytes.append(half: d)
      return bytes + (0..<16).map { byte in (0..<4).reduce(0) { $0 | UInt8(codes[4 * byte + $1] << (2 * $1)) } }
    },
    ReferenceCodec(.tq2_0) { bytes in
      let d = bytes.half(at: 64)
      return eachElement { place in
        Float(Int(bytes[32 * place.half + place.inGroup] >> UInt8(2 * place.group) & 3) - 1) * d
      }
    },
    ReferenceCodec(.tq1_0) { bytes in
      let d = bytes.half(at: 52)
      // A run of bytes holds its first digits, then its second ones, and so on.
      func run(_ range: Range<Int>, digits: Int) -> [Float] {
        (0..<digits).flatMap { n in bytes[range].map { ternaryDigit(n, of: $0) * d } }
      }
      return run(0..<32, digits: 5) + run(32..<48, digits: 5) + run(48..<52, digits: 4)
    },
  ]

  /// Digit n (−1, 0, 1) of a base-3 fraction byte / 256.
  private static func ternaryDigit(_ n: Int, of byte: UInt8) -> Float {
    let fraction = (0..<n).reduce(byte) { shifted, _ in shifted &* 3 }
    return Float((Int(fraction) * 3) >> 8 - 1)
  }
}
