internal import CKernels
internal import IR

/// IQ1, IQ2, IQ3: groups of elements are lattice points with signs beside them.
extension ReferenceCodec {
  static let grids: [ReferenceCodec] = [
    ReferenceCodec(.iq2_XXS) { bytes in
      let d = bytes.half(at: 0)
      return eachGroup(of: 8) { g in
        let rest = bytes.u32(at: 6 + 8 * (g / 4))
        let scale = d * (0.5 + Float(rest >> 28)) * 0.25
        let signs = evenSigns(rest >> UInt32(7 * (g % 4)))
        return signed(iq2Point(QUERN_GRID_IQ2_XXS, UInt32(bytes[2 + 8 * (g / 4) + g % 4])), by: signs, scale: scale)
      }
    },
    ReferenceCodec(.iq2_XS) { bytes in
      let d = bytes.half(at: 0)
      return eachGroup(of: 8) { g in
        let word = UInt32(bytes.u16(at: 2 + 2 * g))
        let scale = d * (0.5 + nibble(bytes, at: 66, g / 2)) * 0.25
        return signed(iq2Point(QUERN_GRID_IQ2_XS, word & 511), by: evenSigns(word >> 9), scale: scale)
      }
    },
    ReferenceCodec(.iq2_S) { bytes in
      let d = bytes.half(at: 0)
      return eachGroup(of: 8) { g in
        let high = UInt32(bytes[66 + g / 4]) >> UInt32(2 * (g % 4)) & 3
        let scale = d * (0.5 + nibble(bytes, at: 74, g / 2)) * 0.25
        return signed(
          iq2Point(QUERN_GRID_IQ2_S, UInt32(bytes[2 + g]) | high << 8), by: UInt32(bytes[34 + g]), scale: scale)
      }
    },
    ReferenceCodec(.iq3_XXS) { bytes in
      let d = bytes.half(at: 0)
      return eachGroup(of: 8) { g in
        let rest = bytes.u32(at: 66 + 4 * (g / 4))
        let scale = d * (0.5 + Float(rest >> 28)) * 0.5
        let levels = (0..<2).flatMap { k in
          point(QUERN_GRID_IQ3_XXS, UInt32(bytes[2 + 2 * g + k]), elements: 4, width: 3).map {
            [4, 12, 20, 28, 36, 44, 52, 62][$0]
          }
        }
        return signed(levels, by: evenSigns(rest >> UInt32(7 * (g % 4))), scale: scale)
      }
    },
    ReferenceCodec(.iq3_S) { bytes in
      let d = bytes.half(at: 0)
      return eachGroup(of: 8) { g in
        let scale = d * (1 + 2 * nibble(bytes, at: 106, g / 4))
        let levels = (0..<2).flatMap { k in
          let high = UInt32(bytes[66 + g / 4]) >> UInt32(2 * (g % 4) + k) & 1
          return point(QUERN_GRID_IQ3_S, UInt32(bytes[2 + 2 * g + k]) | high << 8, elements: 4, width: 3).map {
            2 * $0 + 1
          }
        }
        return signed(levels, by: UInt32(bytes[74 + g]), scale: scale)
      }
    },
    ReferenceCodec(.iq1_S) { bytes in
      let d = bytes.half(at: 0)
      return eachGroup(of: 8) { g in
        let rest = UInt32(bytes.u16(at: 34 + 2 * (g / 4)))
        let index = UInt32(bytes[2 + g]) | (rest >> UInt32(3 * (g % 4)) & 7) << 8
        let scale = d * Float(2 * (rest >> 12 & 7) + 1)
        return iq1Point(index, shiftedDown: rest & 0x8000 != 0).map { scale * $0 }
      }
    },
    ReferenceCodec(.iq1_M) { bytes in
      let scales = (0..<4).map { UInt32(bytes.u16(at: 48 + 2 * $0)) }
      // The block's half is spread over the top four bits of the four words.
      let half = scales.enumerated().reduce(0) { $0 | ($1.element >> 12) << UInt32(4 * $1.offset) }
      let d = Float(Float16(bitPattern: UInt16(half)))
      return eachGroup(of: 8) { g in
        let high = UInt32(bytes[32 + g / 2]) >> UInt32(4 * (g % 2))
        let s = g / 2
        let scale = d * Float(2 * (scales[s / 4] >> UInt32(3 * (s % 4)) & 7) + 1)
        return iq1Point(UInt32(bytes[g]) | (high & 7) << 8, shiftedDown: high & 8 != 0).map { scale * $0 }
      }
    },
  ]

  private static func eachGroup(of count: Int, _ values: (Int) -> [Float]) -> [Float] {
    (0..<256 / count).flatMap(values)
  }

  private static func nibble(_ bytes: [UInt8], at offset: Int, _ index: Int) -> Float {
    Float(bytes[offset + index / 2] >> UInt8(4 * (index % 2)) & 15)
  }

  /// The levels' numbers of a lattice point.
  private static func point(_ grid: quern_grid, _ index: UInt32, elements: Int, width: Int) -> [Int] {
    let code = Int(quern_grid_code(grid, index))
    return (0..<elements).map { code >> (width * $0) & ((1 << width) - 1) }
  }

  private static func iq2Point(_ grid: quern_grid, _ index: UInt32) -> [Int] {
    point(grid, index, elements: 8, width: 2).map { [8, 25, 43][$0] }
  }

  /// −1, 0 or 1, each moved by an eighth.
  private static func iq1Point(_ index: UInt32, shiftedDown: Bool) -> [Float] {
    point(QUERN_GRID_IQ1, index, elements: 8, width: 2).map { Float($0 - 1) + (shiftedDown ? -0.125 : 0.125) }
  }

  /// Seven bits of signs; the eighth makes their number even.
  private static func evenSigns(_ bits: UInt32) -> UInt32 {
    let seven = bits & 127
    return seven | UInt32(seven.nonzeroBitCount % 2) << 7
  }

  private static func signed(_ levels: [Int], by signs: UInt32, scale: Float) -> [Float] {
    levels.enumerated().map { j, level in scale * Float(level) * (signs >> UInt32(j) & 1 == 1 ? -1 : 1) }
  }
}
