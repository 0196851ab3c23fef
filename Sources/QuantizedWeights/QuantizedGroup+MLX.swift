//  weight: U32 [rows, columns · bits / 32], lowest bits first │ scales, biases [rows, groups] │ w = q · s + b
//  its float modes: scales U8, no biases: mxfp4 and mxfp8 (powers of two for 32), nvfp4 (E4M3 for 16)

import Bytes
import IR

extension QuantizedGroup {
  func mlx() throws(ContainerError) -> Result {
    let scales = try beside(".scales")
    let biases = try beside(".biases")
    let words = main.shape.columns
    let groups = scales.shape.columns
    guard scales.shape == biases.shape, scales.shape.dimensions.dropLast() == main.shape.dimensions.dropLast(),
      groups > 0, words > 0, scales.format.isPlain, biases.format.isPlain
    else { throw fail("scales and biases do not fit") }
    let (said, size) = settings.mlx(path)
    let possible = [4, 8, 2, 3, 6, 5].filter { bits in
      words * 32 % bits == 0 && words * 32 / bits % groups == 0 && [32, 64, 128].contains(words * 32 / bits / groups)
    }
    guard
      let bits = possible.first(where: { $0 == said && (size == nil || words * 32 / $0 / groups == size) })
        ?? (possible.count == 1 || said == nil ? possible.first : nil)
    else { throw fail("\(words) words and \(groups) groups fit no width that MLX has") }
    let columns = words * 32 / bits
    let decoder = MLXDecoder(words: main, scales: scales, biases: biases, columns: columns, bits: bits)
    return try result(
      main.shape.dimensions.dropLast() + [columns], decoder, kind: "MLX int\(bits), groups of \(columns / groups)",
      uses: [".weight", ".scales", ".biases"])
  }

  /// MXFP4, MXFP8 and NVFP4: how many words share a scale tells them apart.
  func mlxFloat() throws(ContainerError) -> Result {
    let scales = try beside(".scales")
    let words = main.shape.columns
    guard scales.shape.dimensions.dropLast() == main.shape.dimensions.dropLast(), scales.shape.columns > 0,
      words % scales.shape.columns == 0
    else { throw fail("scales are \(scales.shape)") }
    var bytes = main
    let rows = main.shape.dimensions.dropLast()
    guard let shape = Shape(rows + [words * 4]) else { throw fail("\(main.shape) is too large") }
    bytes.shape = shape
    bytes.format = .u8
    let uses = [".weight", ".scales"]
    switch words / scales.shape.columns {
    case 8:
      return try result(
        shape.dimensions, Float8GroupDecoder(bytes: bytes, scales: scales), kind: "MLX mxfp8", uses: uses)
    case let wordsPerScale where wordsPerScale == 4 || wordsPerScale == 2:
      let decoder = Float4Decoder(
        bytes: bytes, scales: scales, groupSize: wordsPerScale * 8, isPowerOfTwo: wordsPerScale == 4, divisor: 1)
      return try result(
        rows + [words * 8], decoder, kind: wordsPerScale == 4 ? "MLX mxfp4" : "MLX nvfp4", uses: uses)
    default: throw fail("\(words) words and \(scales.shape.columns) scales fit no mode that MLX has")
    }
  }
}

/// q · s + b.
struct MLXDecoder: RowDecoder {
  let words: TensorRef
  let scales: TensorRef
  let biases: TensorRef
  let columns: Int
  let bits: Int

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let packed = try words.bytes(rows: rows)
    let scale = try scales.floats(rows: rows)
    let bias = try biases.floats(rows: rows)
    let fields = BitFields(bits: bits)
    let groups = scales.shape.columns
    let size = columns / groups
    for row in 0..<rows.count {
      for column in 0..<columns {
        let group = row * groups + column / size
        let quant = fields.value(column, in: packed.rawSpan, from: row * words.rowByteCount)
        values[row * columns + column] = Float(quant) * scale[group] + bias[group]
      }
    }
  }
}

/// Eight-bit floats (E4M3), a power of two for each 32.
struct Float8GroupDecoder: RowDecoder {
  let bytes: TensorRef
  let scales: TensorRef

  var columns: Int { bytes.shape.columns }

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let stored = try bytes.bytes(rows: rows)
    let scale = try scales.bytes(rows: rows)
    let table = (0..<256).map { Float(e4m3: UInt8($0)) }
    let groups = columns / 32
    for index in stored.indices {
      values[index] = table[Int(stored[index])] * Float(e8m0: scale[index / columns * groups + index % columns / 32])
    }
  }
}
