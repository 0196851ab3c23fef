import Bytes
import IR

/// Schemes that forget rows and pack the flattened weight: bitsandbytes' four bits, HQQ, gpt-oss's MXFP4.
extension QuantizedGroup {
  func bitsAndBytes4() throws(ContainerError) -> Result {
    let stateNames = ["nf4", "fp4"].map { ".weight.quant_state.bitsandbytes__\($0)" }
    guard let stateTensor = stateNames.lazy.compactMap({ tensors[path + $0] }).first, stateTensor.byteCount <= 1 << 16
    else { throw fail("its quant_state is missing beside it") }
    let text = try bytes(of: stateTensor)
    guard let state = try? JSONValue.parse(text), let blockSize = state["blocksize"]?.int,
      (1...1 << 24).contains(blockSize),
      let dimensions = state["shape"]?.array?.compactMap(\.int), let shape = Shape(dimensions)
    else { throw fail("its quant_state does not say blocksize and shape") }
    let count = shape.elementCount
    let blocks = (count + blockSize - 1) / blockSize
    let map = try floats(of: try beside(".weight.quant_map"))
    let scales = try beside(".weight.absmax")
    guard map.count == 16, main.byteCount == (count + 1) / 2, scales.shape.elementCount == blocks else {
      throw fail("\(main.byteCount) bytes and \(scales.shape.elementCount) scales do not make \(shape)")
    }
    var nested: NestedScales?
    if let nestedScales = tensors[path + ".weight.nested_absmax"] {
      guard scales.format == .u8, let nestedSize = state["nested_blocksize"]?.int, (1...1 << 24).contains(nestedSize)
      else {
        throw fail("its scales are not nested as quant_state says")
      }
      nested = NestedScales(
        map: try floats(of: try beside(".weight.nested_quant_map")), scales: try floats(of: nestedScales),
        blockSize: nestedSize, offset: Float(state["nested_offset"]?.double ?? 0))
      guard nested?.map.count == 256, (nested?.scales.count ?? 0) >= (blocks + nestedSize - 1) / nestedSize else {
        throw fail("its nested scales do not fit")
      }
    }
    let decoder = Flat4Decoder(
      bytes: main, scales: scales, nested: nested, map: map, blockSize: blockSize, columns: shape.columns)
    let kind = state["quant_type"]?.string?.text.uppercased() ?? "4-bit"
    return try result(
      dimensions, decoder, kind: "bitsandbytes \(kind), blocks of \(blockSize)",
      uses: [".weight", ".weight.absmax", ".weight.quant_map", ".weight.nested_absmax", ".weight.nested_quant_map"]
        + stateNames)
  }

  func hqq() throws(ContainerError) -> Result {
    let scales = try beside(".scale")
    let zeros = try beside(".zero")
    func number(_ suffix: String) throws(ContainerError) -> Int? {
      guard let tensor = tensors[path + suffix], tensor.format.isPlain, tensor.shape.elementCount == 1 else {
        return nil
      }
      return try floats(of: tensor).first.flatMap { Int(exactly: $0) }
    }
    let shapeTensor = try beside(".shape")
    guard shapeTensor.shape.elementCount <= 8, shapeTensor.format.isPlain else { throw fail("shape is no shape") }
    let dimensions = try floats(of: shapeTensor).map { Int(exactly: $0) ?? -1 }
    let axis = try number(".axis") ?? 1
    guard let bits = try number(".nbits"), [1, 2, 3, 4, 8].contains(bits), axis == 0 || axis == 1,
      let shape = Shape(dimensions), shape.elementCount > 0
    else { throw fail("nbits, axis or shape is not what HQQ writes") }
    let metaCount = scales.shape.elementCount
    guard metaCount > 0, zeros.shape == scales.shape, shape.elementCount % metaCount == 0, scales.format.isPlain,
      zeros.format.isPlain
    else { throw fail("scale and zero do not fit") }
    let width = axis == 1 ? shape.elementCount / metaCount : metaCount
    let perUnit = bits == 3 ? 10 : 8 / bits
    let step = main.shape.rows
    guard main.shape.dimensions.count == 2, main.shape.columns == width,
      main.format == (bits == 3 ? .i32 : .u8), step > 0, step * perUnit >= shape.elementCount / width
    else { throw fail("\(main.shape) does not hold \(shape) in \(bits) bits") }
    guard let scaleColumn = scales.reshaped(rows: metaCount, columns: 1),
      let zeroColumn = zeros.reshaped(rows: metaCount, columns: 1)
    else { throw fail("scale and zero do not lie in one piece") }
    let decoder = HQQDecoder(
      packed: main, scales: scaleColumn, zeros: zeroColumn, bits: bits, axis: axis, columns: shape.columns)
    return try result(
      dimensions, decoder, kind: "HQQ int\(bits)",
      uses: [
        ".W_q", ".scale", ".zero", ".nbits", ".axis", ".shape", ".group_size", ".packing", ".view_as_float",
        ".unpack_view_dtype", ".optimize", ".round_zero", ".quant_scale", ".quant_zero", ".compute_dtype",
        ".channel_wise", ".stores_quant_config", ".offload_meta",
      ])
  }

  /// gpt-oss stores [experts, outputs, groups, 16]; transformers' weight of that name is [experts, inputs, outputs].
  func mxfp4Blocks() throws(ContainerError) -> Result {
    guard let scales = tensors[path + "_scales"] else { throw fail("its scales are missing beside it") }
    let dimensions = main.shape.dimensions
    if dimensions.count == 4 {
      let inputs = dimensions[2] * 32
      let decoder = ExpertFloat4Decoder(blocks: main, scales: scales, inputs: inputs, columns: dimensions[1])
      return try result(
        [dimensions[0], inputs, dimensions[1]], decoder, kind: "MXFP4 blocks", name: path,
        uses: ["_blocks", "_scales"], isPaneled: true)
    }
    guard dimensions.count == 3, let rows = Shape([dimensions[0], dimensions[1] * 16]) else {
      throw fail("\(main.shape) is neither a matrix nor experts' matrices")
    }
    var flat = main
    flat.shape = rows
    let decoder = Float4Decoder(bytes: flat, scales: scales, groupSize: 32, isPowerOfTwo: true, divisor: 1)
    return try result(
      [dimensions[0], dimensions[1] * 32], decoder, kind: "MXFP4 blocks", name: path, uses: ["_blocks", "_scales"])
  }
}

/// bitsandbytes' scales of scales.
struct NestedScales: Sendable {
  let map: [Float]
  let scales: [Float]
  let blockSize: Int
  let offset: Float
}

/// Two elements per byte, high first; blocks of the flattened weight share a scale.
struct Flat4Decoder: RowDecoder {
  let bytes: TensorRef
  let scales: TensorRef
  let nested: NestedScales?
  let map: [Float]
  let blockSize: Int
  let columns: Int

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let first = rows.lowerBound * columns
    let last = rows.upperBound * columns
    guard last > first else { return }
    let packed = try flat(bytes, first / 2..<(last + 1) / 2)
    let block = first / blockSize
    let stored = try flat(scales, block..<(last - 1) / blockSize + 1)
    var scale = scales.format.floats(stored)
    if let nested {
      for index in scale.indices {
        scale[index] =
          nested.map[Int(stored[index])] * nested.scales[(block + index) / nested.blockSize] + nested.offset
      }
    }
    for element in first..<last {
      let byte = packed[element / 2 - first / 2]
      values[element - first] =
        map[Int(element % 2 == 0 ? byte >> 4 : byte & 15)] * scale[element / blockSize - block]
    }
  }

  /// Elements of a tensor whatever its shape: [n, 1] or [n].
  private func flat(_ tensor: TensorRef, _ range: Range<Int>) throws(FileError) -> [UInt8] {
    if let flat = tensor.reshaped(rows: tensor.shape.elementCount, columns: 1) { return try flat.bytes(rows: range) }
    let width = tensor.format.bytesPerBlock
    return Array(try tensor.readAll()[range.lowerBound * width..<range.upperBound * width])
  }
}

/// (q − z) · s; field 0 of a unit belongs to the first part of the rows, in the highest bits.
struct HQQDecoder: RowDecoder {
  let packed: TensorRef
  /// [groups, 1]
  let scales: TensorRef
  let zeros: TensorRef
  let bits: Int
  let axis: Int
  let columns: Int

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let width = packed.shape.columns
    let step = packed.shape.rows
    let perUnit = bits == 3 ? 10 : 8 / bits
    let mask = UInt32(1) << UInt32(bits) - 1
    let first = rows.lowerBound * columns
    let last = rows.upperBound * columns
    guard last > first else { return }
    // Along axis 1 a group has its own numbers, along axis 0 a column of all groups.
    let wanted = axis == 1 ? first / width..<(last - 1) / width + 1 : 0..<width
    let scale = try scales.floats(rows: wanted)
    let zero = try zeros.floats(rows: wanted)
    var group = first / width
    while group * width < last {
      // As many rows of the packed matrix as follow each other in the file.
      let end = min((last - 1) / width + 1, (group / step + 1) * step)
      let read = try packed.bytes(rows: group % step..<group % step + end - group)
      let shift = UInt32(bits * (perUnit - 1 - group / step))
      for element in max(first, group * width)..<min(last, end * width) {
        let place = element - group * width
        let unit = bits == 3 ? read.integer(at: place * 4, as: UInt32.self) : UInt32(read[place])
        let meta = axis == 1 ? element / width - wanted.lowerBound : element % width
        values[element - first] = (Float(unit >> shift & mask) - zero[meta]) * scale[meta]
      }
      group = end
    }
  }
}

/// One input of all outputs per row.
struct ExpertFloat4Decoder: RowDecoder {
  let blocks: TensorRef
  let scales: TensorRef
  let inputs: Int
  let columns: Int

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let groups = inputs / 32
    var row = rows.lowerBound
    while row < rows.upperBound {
      let expert = row / inputs
      let end = min(rows.upperBound, (expert + 1) * inputs)
      let packed = try blocks.bytes(rows: expert * columns * groups..<(expert + 1) * columns * groups)
      let exponents = try scales.bytes(rows: expert * columns..<(expert + 1) * columns)
      while row < end {
        let input = row % inputs
        for output in 0..<columns {
          let block = output * groups + input / 32
          let byte = packed[block * 16 + input % 32 / 2]
          values[(row - rows.lowerBound) * columns + output] =
            Float.e2m1[Int(input % 2 == 0 ? byte & 15 : byte >> 4)] * Float(e8m0: exponents[block])
        }
        row += 1
      }
    }
  }
}
