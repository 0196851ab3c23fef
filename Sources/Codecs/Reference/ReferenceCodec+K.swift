internal import IR

/// Q2_K to Q6_K: 256 elements in sub-blocks whose scales are small integers under a half.
extension ReferenceCodec {
  static let superBlocks: [ReferenceCodec] = [
    ReferenceCodec(.q2_K) { bytes in
      let (d, dmin) = (bytes.half(at: 80), bytes.half(at: 82))
      return eachElement { place in
        let scales = bytes[place.sixteenth]
        let code = bytes[16 + 32 * place.half + place.inGroup] >> UInt8(2 * place.group) & 3
        return (d * Float(scales & 15)) * Float(code) - dmin * Float(scales >> 4)
      }
    },
    ReferenceCodec(.q3_K) { bytes in
      let d = bytes.half(at: 108)
      return eachElement { place in
        let code = Int(bytes[32 + 32 * place.half + place.inGroup] >> UInt8(2 * place.group) & 3)
        let isHigh = bytes[place.inGroup] >> UInt8(4 * place.half + place.group) & 1 == 1
        let s = place.sixteenth
        let low = s < 8 ? bytes[96 + s] & 15 : bytes[96 + s - 8] >> 4
        let high = bytes[104 + s % 4] >> UInt8(2 * (s / 4)) & 3
        return (d * Float(Int(low | high << 4) - 32)) * Float(isHigh ? code : code - 4)
      }
    },
    ReferenceCodec(.q4_K) { bytes in
      let (d, dmin) = (bytes.half(at: 0), bytes.half(at: 2))
      return eachElement { place in
        let (scale, minimum) = sixBits(Array(bytes[4..<16]), place.eighth)
        let code = bytes[16 + 32 * (place.eighth / 2) + place.inGroup] >> UInt8(4 * (place.eighth % 2)) & 15
        return (d * scale) * Float(code) - dmin * minimum
      }
    },
    ReferenceCodec(.q5_K) { bytes in
      let (d, dmin) = (bytes.half(at: 0), bytes.half(at: 2))
      return eachElement { place in
        let (scale, minimum) = sixBits(Array(bytes[4..<16]), place.eighth)
        let low = bytes[48 + 32 * (place.eighth / 2) + place.inGroup] >> UInt8(4 * (place.eighth % 2)) & 15
        let fifth = bytes[16 + place.inGroup] >> UInt8(place.eighth) & 1
        return (d * scale) * Float(low | fifth << 4) - dmin * minimum
      }
    },
    ReferenceCodec(.q6_K) { bytes in
      let d = bytes.half(at: 208)
      return eachElement { place in
        let low = bytes[64 * place.half + 32 * (place.group % 2) + place.inGroup] >> UInt8(4 * (place.group / 2)) & 15
        let high = bytes[128 + 32 * place.half + place.inGroup] >> UInt8(2 * place.group) & 3
        let scale = Float(Int8(bitPattern: bytes[192 + place.sixteenth]))
        return (d * scale) * Float(Int(low | high << 4) - 32)
      }
    },
  ]

  /// Where an element lies among 256: in which half (128), which group of 32 in it and where in the group; and counted
  /// over the block, in which 32 (`eighth`) and which 16 (`sixteenth`).
  struct Place {
    let index: Int
    var half: Int { index / 128 }
    var group: Int { index / 32 % 4 }
    var inGroup: Int { index % 32 }
    var eighth: Int { index / 32 }
    var sixteenth: Int { index / 16 }
  }

  static func eachElement(_ value: (Place) -> Float) -> [Float] { (0..<256).map { value(Place(index: $0)) } }

  /// Sub-block `j` of eight: six bits of scale and six of minimum. The first four lie whole in bytes 0–3 and 4–7, the
  /// others have their low bits in bytes 8–11 and their high ones on top of the first four's.
  private static func sixBits(_ s: [UInt8], _ j: Int) -> (scale: Float, minimum: Float) {
    j < 4
      ? (Float(s[j] & 63), Float(s[j + 4] & 63))
      : (Float(s[j + 4] & 15 | (s[j - 4] >> 6) << 4), Float(s[j + 4] >> 4 | (s[j] >> 6) << 4))
  }
}
