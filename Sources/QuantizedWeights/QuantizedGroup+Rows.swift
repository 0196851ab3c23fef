import Bytes
import IR

/// Schemes that pack along each output's row.
extension QuantizedGroup {
  func compressedTensors() throws(ContainerError) -> Result {
    let scales = try beside(".weight_scale")
    let shape = try bytes(of: try beside(".weight_shape"))
    guard shape.count == 16, main.shape.dimensions.count == 2 else { throw fail("weight_shape is not two I64") }
    let outputs = shape.integer(at: 0, as: Int.self)
    let inputs = shape.integer(at: 8, as: Int.self)
    let words = main.shape.dimensions[1]
    guard outputs == main.shape.dimensions[0], inputs > 0, inputs <= words * 32,
      let bits = settings.compressedBits ?? [4, 8, 2].first(where: { (inputs * $0 + 31) / 32 == words }),
      (1...8).contains(bits), (inputs * bits + 31) / 32 == words
    else { throw fail("\(words) words do not hold the inputs that weight_shape says") }
    let scale = try GroupScales(scales, rows: outputs, columns: inputs, group: self)
    var zeroPoints: TensorRef?
    if let zero = tensors[path + ".weight_zero_point"] {
      guard zero.format == .i32 || zero.format == .i8 else { throw fail("weight_zero_point is neither I32 nor I8") }
      let packedRows = zero.format == .i32 ? (outputs * bits + 31) / 32 : outputs
      guard zero.shape.dimensions == [packedRows, scale.groups] else {
        throw fail("weight_zero_point is \(zero.shape), not [\(packedRows), \(scale.groups)]")
      }
      zeroPoints = zero
    }
    var groupOf: [Int]?
    if let order = tensors[path + ".weight_g_idx"] {
      guard order.format == .i32, order.shape.dimensions == [inputs] else { throw fail("weight_g_idx does not fit") }
      let stored = try bytes(of: order)
      let groups = (0..<inputs).map { Int(stored.integer(at: $0 * 4, as: Int32.self)) }
      guard groups.allSatisfy({ $0 >= -1 && $0 < scale.groups }) else { throw fail("weight_g_idx names no group") }
      groupOf = groups.contains(-1) ? nil : groups
    }
    let decoder = PackedRowDecoder(
      words: main, scales: scale, zeroPoints: zeroPoints, groupOf: groupOf, columns: inputs, bits: bits)
    return try result(
      [outputs, inputs], decoder, kind: "compressed-tensors int\(bits)",
      uses: [".weight_packed", ".weight_scale", ".weight_shape", ".weight_zero_point", ".weight_g_idx"])
  }

  /// `weight` of one byte per element, one scale per row, or one for all.
  func scaledRows() throws(ContainerError) -> Result {
    let scale = try beside(".weight_scale")
    let kind = main.format == .i8 ? "compressed-tensors int8" : "FP8"
    guard main.shape.dimensions.count >= 1, scale.format.isPlain, scale.format.kind == .float else {
      throw fail("weight_scale does not fit")
    }
    if scale.shape.dimensions.count == 2, main.shape.dimensions.count == 2 {
      let scales = try GroupScales(
        scale, rows: main.shape.dimensions[0], columns: main.shape.dimensions[1], group: self)
      let zero = tensors[path + ".weight_zero_point"]
      if let zero {
        guard zero.format == .i8, zero.shape == scale.shape else { throw fail("weight_zero_point does not fit") }
      }
      return try result(
        main.shape.dimensions, ByteRowDecoder(bytes: main, scales: scales, zeroPoints: zero), kind: kind,
        uses: [".weight", ".weight_scale", ".weight_zero_point", ".input_scale", ".weight_shape"])
    }
    return try rowScaled(scale: ".weight_scale", factor: 1, also: [".input_scale", ".weight_zero_point"], kind: kind)
  }

  func rowScaled(
    scale suffix: String, factor: Float, also: [String], kind: String
  ) throws(ContainerError) -> Result {
    let scale = try beside(suffix)
    let rows = main.shape.rows
    guard scale.shape.elementCount == rows || scale.shape.elementCount == 1, scale.format.isPlain else {
      throw fail("\(scale.shape) scales for \(rows) rows")
    }
    let perRow = scale.shape.elementCount == 1 ? nil : scale.reshaped(rows: rows, columns: 1)
    let decoder = RowScaledDecoder(bytes: main, scales: perRow ?? scale, isPerRow: perRow != nil, factor: factor)
    guard perRow != nil || scale.shape.elementCount == 1 else { throw fail("its scales do not lie in one piece") }
    return try result(main.shape.dimensions, decoder, kind: kind, uses: [".weight", suffix] + also)
  }

  func blockFloat8() throws(ContainerError) -> Result {
    let scale = try beside(".weight_scale_inv")
    let (blockRows, blockColumns) = settings.blockSize
    guard main.shape.dimensions.count == 2, scale.format.isPlain,
      scale.shape.dimensions == [
        (main.shape.dimensions[0] + blockRows - 1) / blockRows, (main.shape.columns + blockColumns - 1) / blockColumns,
      ]
    else { throw fail("weight_scale_inv is \(scale.shape): not one per block of \(blockRows)×\(blockColumns)") }
    let decoder = BlockScaledDecoder(
      bytes: main, scales: scale, blockRows: blockRows, blockColumns: blockColumns)
    return try result(
      main.shape.dimensions, decoder, kind: "FP8 in blocks of \(blockRows)×\(blockColumns)",
      uses: [".weight", ".weight_scale_inv"])
  }

  /// NVFP4 (E4M3 scales of 16 and one for all) and MXFP4 (powers of two of 32), two elements per byte, low first.
  func float4(groupSize: Int) throws(ContainerError) -> Result {
    let scale = try beside(".weight_scale")
    guard main.shape.dimensions.count == 2, main.shape.columns * 2 % groupSize == 0,
      scale.shape.dimensions == [main.shape.dimensions[0], main.shape.columns * 2 / groupSize],
      scale.format.bytesPerBlock == 1
    else { throw fail("weight_scale is \(scale.shape): not one per \(groupSize) elements") }
    var divisor: Float = 1
    if groupSize == 16 {
      guard let global = try floats(of: try beside(".weight_global_scale")).first else { throw fail("no global scale") }
      divisor = global
    }
    let decoder = Float4Decoder(
      bytes: main, scales: scale, groupSize: groupSize, isPowerOfTwo: groupSize == 32, divisor: divisor)
    return try result(
      [main.shape.dimensions[0], main.shape.columns * 2], decoder, kind: groupSize == 16 ? "NVFP4" : "MXFP4",
      uses: [".weight_packed", ".weight_scale", ".weight_global_scale", ".input_global_scale"])
  }
}

/// Scales [rows, groups] of equal groups along a row; one column of scales means one group.
struct GroupScales: Sendable {
  let tensor: TensorRef
  let groups: Int
  let groupSize: Int

  init(_ tensor: TensorRef, rows: Int, columns: Int, group: QuantizedGroup) throws(ContainerError) {
    guard tensor.shape.dimensions.count == 2, tensor.shape.dimensions[0] == rows, tensor.shape.columns > 0,
      tensor.format.isPlain
    else { throw group.fail("scales are \(tensor.shape) for \(rows) rows") }
    self.tensor = tensor
    groups = tensor.shape.columns
    groupSize = try group.groupSize(inputs: columns, groups: groups)
  }
}

/// compressed-tensors' pack-quantized: (q − 2^(b−1) − z) · s, fields along each row.
struct PackedRowDecoder: RowDecoder {
  let words: TensorRef
  let scales: GroupScales
  /// Packed along outputs (I32), or one I8 each.
  let zeroPoints: TensorRef?
  let groupOf: [Int]?
  let columns: Int
  let bits: Int

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let packed = try words.bytes(rows: rows)
    let scale = try scales.tensor.floats(rows: rows)
    let zeros = try zeroPoints?.readAll()
    let fields = BitFields(bits: bits)
    let mask = UInt64(1) << UInt64(bits) - 1
    let middle = Float(1 << (bits - 1))
    let groups = scales.groups
    for row in rows {
      let local = row - rows.lowerBound
      var offset = [Float](repeating: middle, count: groups)
      if let zeros, let zeroPoints {
        for group in 0..<groups {
          if zeroPoints.format == .i8 {
            offset[group] += Float(Int8(bitPattern: zeros[row * groups + group]))
          } else {
            // Packed down each group's column, offset by the middle like the weights.
            let bit = row * bits
            var pair = UInt64(zeros.integer(at: (bit / 32 * groups + group) * 4, as: UInt32.self))
            if bit % 32 + bits > 32 {
              pair |= UInt64(zeros.integer(at: ((bit / 32 + 1) * groups + group) * 4, as: UInt32.self)) << 32
            }
            offset[group] = Float(pair >> UInt64(bit % 32) & mask)
          }
        }
      }
      let start = local * words.rowByteCount
      for column in 0..<columns {
        let group = groupOf?[column] ?? column / scales.groupSize
        let quant = fields.value(column, in: packed.rawSpan, from: start)
        values[local * columns + column] = (Float(quant) - offset[group]) * scale[local * groups + group]
      }
    }
  }
}

/// One byte per element (I8 or F8), scales in groups along the row.
struct ByteRowDecoder: RowDecoder {
  let bytes: TensorRef
  let scales: GroupScales
  let zeroPoints: TensorRef?

  var columns: Int { bytes.shape.columns }

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    values = try bytes.floats(rows: rows)
    let scale = try scales.tensor.floats(rows: rows)
    let zero = try zeroPoints?.floats(rows: rows)
    for row in 0..<rows.count {
      for column in 0..<columns {
        let group = row * scales.groups + column / scales.groupSize
        values[row * columns + column] = (values[row * columns + column] - (zero?[group] ?? 0)) * scale[group]
      }
    }
  }
}

/// One scale per row, or one for all.
struct RowScaledDecoder: RowDecoder {
  let bytes: TensorRef
  let scales: TensorRef
  let isPerRow: Bool
  let factor: Float

  var columns: Int { bytes.shape.columns }

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    values = try bytes.floats(rows: rows)
    let scale = try isPerRow ? scales.floats(rows: rows) : scales.floats()
    for row in 0..<rows.count {
      let scale = scale[isPerRow ? row : 0]
      for index in row * columns..<(row + 1) * columns {
        values[index] = factor == 1 ? values[index] * scale : values[index] * scale * factor
      }
    }
  }
}

/// One scale per block of rows and columns.
struct BlockScaledDecoder: RowDecoder {
  let bytes: TensorRef
  let scales: TensorRef
  let blockRows: Int
  let blockColumns: Int

  var columns: Int { bytes.shape.columns }

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    values = try bytes.floats(rows: rows)
    for row in rows {
      let scale = try scales.floats(rows: row / blockRows..<row / blockRows + 1)
      let start = (row - rows.lowerBound) * columns
      for column in 0..<columns { values[start + column] *= scale[column / blockColumns] }
    }
  }
}

/// Four-bit floats, two per byte, low first.
struct Float4Decoder: RowDecoder {
  let bytes: TensorRef
  let scales: TensorRef
  let groupSize: Int
  let isPowerOfTwo: Bool
  let divisor: Float

  var columns: Int { bytes.shape.columns * 2 }

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let packed = try bytes.bytes(rows: rows)
    let stored = try scales.bytes(rows: rows)
    let groups = columns / groupSize
    for row in 0..<rows.count {
      for group in 0..<groups {
        let bits = stored[row * groups + group]
        let scale = isPowerOfTwo ? Float(e8m0: bits) : Float(e4m3: bits) / divisor
        for index in 0..<groupSize {
          let column = group * groupSize + index
          let byte = packed[(row * columns + column) / 2]
          values[row * columns + column] = Float.e2m1[Int(column % 2 == 0 ? byte & 15 : byte >> 4)] * scale
        }
      }
    }
  }
}
