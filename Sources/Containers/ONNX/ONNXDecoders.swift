import Bytes
import IR

/// (x − zero) · scale, one pair for all, per index of an axis, or per block of it.
struct AffineDecoder: RowDecoder {
  let values: TensorRef
  let scales: TensorRef
  let zeros: TensorRef?
  /// Elements after the axis, and the axis's own length.
  let inner: Int
  let length: Int
  let block: Int
  let isBlocked: Bool
  /// Each row of scales belongs to the same row of values.
  let hasScalesPerRow: Bool

  var columns: Int { values.shape.columns }

  func decode(rows: Range<Int>, into result: inout [Float]) throws(FileError) {
    result = try values.floats(rows: rows)
    let wanted = hasScalesPerRow ? rows : 0..<scales.shape.rows
    let scale = try scales.floats(rows: wanted)
    let zero = try zeros?.floats(rows: hasScalesPerRow ? rows : 0..<(zeros?.shape.rows ?? 0))
    let start = rows.lowerBound * columns
    let blocks = (length + block - 1) / block
    for index in result.indices {
      let element = start + index
      var place = 0
      if hasScalesPerRow {
        place = index / columns * blocks + index % columns / block
      } else if scale.count > 1 {
        let along = element / inner % length
        place = isBlocked ? (element / (inner * length) * blocks + along / block) * inner + element % inner : along
      }
      result[index] = (result[index] - (zero?[place] ?? 0)) * scale[place]
    }
  }
}

/// MatMulNBits's rows: blocks of fields, lowest bits first. Zero points are packed alike (U8), or plain numbers.
struct BlockMatrixDecoder: RowDecoder {
  let packed: TensorRef
  let scales: TensorRef
  let zeros: TensorRef?
  let columns: Int
  let block: Int
  let bits: Int

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let bytes = try packed.bytes(rows: rows)
    let scale = try scales.floats(rows: rows)
    let isPacked = zeros?.format == .u8
    let packedZeros = isPacked ? try zeros?.bytes(rows: rows) : nil
    let plainZeros = isPacked ? nil : try zeros?.floats(rows: rows)
    let zeroWidth = zeros?.shape.columns ?? 0
    let blocks = (columns - 1) / block + 1
    let perByte = 8 / bits
    let mask = UInt8(truncatingIfNeeded: (1 << bits) - 1)
    let rowBytes = packed.shape.columns
    for row in 0..<rows.count {
      for column in 0..<columns {
        let index = column / block
        let quant = bytes[row * rowBytes + column / perByte] >> UInt8(column % perByte * bits) & mask
        var zero = Float(1 << (bits - 1))
        if let plainZeros {
          zero = plainZeros[row * blocks + index]
        } else if let packedZeros {
          zero = Float(packedZeros[row * zeroWidth + index / perByte] >> UInt8(index % perByte * bits) & mask)
        }
        values[row * columns + column] = (Float(quant) - zero) * scale[row * blocks + index]
      }
    }
  }
}
