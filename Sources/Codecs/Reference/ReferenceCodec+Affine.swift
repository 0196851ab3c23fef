internal import IR

/// Q4_1, Q5_1: x = code · d + m.
extension ReferenceCodec {
  static let affine: [ReferenceCodec] = [
    ReferenceCodec(.q4_1) { bytes in
      let (d, m) = (bytes.half(at: 0), bytes.half(at: 2))
      return nibbles(bytes, at: 4).map { Float($0) * d + m }
    } encode: { values in
      let (header, codes) = spread(values, over: 15)
      return header + packedNibbles(codes)
    },
    ReferenceCodec(.q5_1) { bytes in
      let (d, m) = (bytes.half(at: 0), bytes.half(at: 2))
      let low = nibbles(bytes, at: 8), fifth = bytes.u32(at: 4)
      return (0..<32).map { j in Float(low[j] | Int(fifth >> UInt32(j) & 1) << 4) * d + m }
    } encode: { values in
      let (header, codes) = spread(values, over: 31)
      return header + fifthBits(codes) + packedNibbles(codes)
    },
  ]

  /// Codes from 0 at the least element to `steps` at the greatest.
  private static func spread(_ values: [Float], over steps: Int) -> (header: [UInt8], codes: [Int]) {
    let least = values.reduce(.greatestFiniteMagnitude, min), greatest = values.reduce(-.greatestFiniteMagnitude, max)
    let scale = (greatest - least) / Float(steps)
    let inverse = scale == 0 ? 0 : 1 / scale
    var header: [UInt8] = []
    header.append(half: scale)
    header.append(half: least)
    return (header, values.map { truncated(($0 - least) * inverse + 0.5, to: 0...steps) })
  }
}
