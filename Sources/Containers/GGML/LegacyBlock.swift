import Bytes
import IR

/// A block as versions before ggjt 3 laid it out.
struct LegacyBlock: Sendable {
  let elementCount: Int
  let bits: Int
  let hasMinimum: Bool
  /// F32 scales rather than F16.
  let hasWideScale: Bool
  /// Neighbours share a byte; since version 2, elements j and j + half the block do.
  let isInterleaved: Bool

  init?(type: Int, version: Int) {
    isInterleaved = version < 2
    // Q4_2 and Q4_3 lived for three weeks of version 1.
    elementCount = type == 4 || type == 5 ? 16 : 32
    switch type {
    case 2: (bits, hasMinimum, hasWideScale) = (4, false, true)
    case 3: (bits, hasMinimum, hasWideScale) = (4, true, true)
    case 4 where version < 2: (bits, hasMinimum, hasWideScale) = (4, false, false)
    case 5 where version < 2: (bits, hasMinimum, hasWideScale) = (4, true, false)
    case 6: (bits, hasMinimum, hasWideScale) = (5, false, false)
    case 7: (bits, hasMinimum, hasWideScale) = (5, true, false)
    case 8: (bits, hasMinimum, hasWideScale) = (8, false, true)
    default: return nil
    }
  }

  var scaleByteCount: Int { (hasWideScale ? 4 : 2) * (hasMinimum ? 2 : 1) }
  var byteCount: Int { scaleByteCount + bits * elementCount / 8 }
}

struct LegacyBlockRows: RowDecoder {
  let file: InputFile
  let offset: Int
  let columns: Int
  let block: LegacyBlock

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let count = block.elementCount
    let perRow = columns / count
    let bytes = try file.read(
      at: offset + rows.lowerBound * perRow * block.byteCount, count: rows.count * perRow * block.byteCount)
    for index in 0..<rows.count * perRow {
      let start = index * block.byteCount
      let width = block.hasWideScale ? 4 : 2
      let scale = number(bytes, start)
      let minimum = block.hasMinimum ? number(bytes, start + width) : 0
      var data = start + block.scaleByteCount
      var high: UInt32 = 0
      if block.bits == 5 {
        high = bytes.integer(at: data)
        data += 4
      }
      for element in 0..<count {
        var quant: Int
        if block.bits == 8 {
          quant = Int(Int8(bitPattern: bytes[data + element]))
        } else {
          let byte = bytes[data + (block.isInterleaved ? element / 2 : element % (count / 2))]
          let isLow = block.isInterleaved ? element % 2 == 0 : element < count / 2
          quant = Int(isLow ? byte & 15 : byte >> 4)
          if block.bits == 5 { quant |= Int(high >> UInt32(element) & 1) << 4 }
          if !block.hasMinimum { quant -= 1 << (block.bits - 1) }
        }
        // Adding a zero would lose the sign of another.
        values[index * count + element] =
          block.hasMinimum ? Float(quant) * scale + minimum : Float(quant) * scale
      }
    }
  }

  private func number(_ bytes: [UInt8], _ at: Int) -> Float {
    block.hasWideScale
      ? Float(bitPattern: bytes.integer(at: at, as: UInt32.self))
      : Float(Float16(bitPattern: bytes.integer(at: at, as: UInt16.self)))
  }
}
