import Bytes
import IR

/// GPTQ and AWQ: packed along inputs or outputs, with one column of words per output.
extension QuantizedGroup {
  func gptq() throws(ContainerError) -> Result {
    let scales = try beside(".scales")
    let zeros = try beside(".qzeros")
    let order = tensors[path + ".g_idx"]
    let words = main.shape.dimensions[0]
    let outputs = main.shape.dimensions[1]
    let groups = scales.shape.dimensions[0]
    guard zeros.shape.dimensions.count == 2, zeros.shape.dimensions[0] == groups, zeros.format == .i32,
      scales.format.kind == .float, outputs > 0, words > 0, groups > 0
    else { throw fail("scales and qzeros do not fit") }
    guard let bits = settings.bits ?? inferredBits(words: words, zeroWords: zeros.shape.columns, outputs: outputs),
      [2, 3, 4, 8].contains(bits), (outputs * bits + 31) / 32 == zeros.shape.columns
    else { throw fail("qzeros do not tell how many bits a weight has") }
    let inputs = order?.shape.elementCount ?? words * 32 / bits
    guard words == (inputs * bits + 31) / 32 else { throw fail("\(words) words do not hold \(inputs) inputs") }
    let groupOf: [Int]
    if let order {
      guard order.format == .i32, order.shape.dimensions.count == 1 else { throw fail("g_idx is no list of I32") }
      let stored = try bytes(of: order)
      groupOf = (0..<inputs).map { Int(stored.integer(at: $0 * 4, as: Int32.self)) }
      guard groupOf.allSatisfy({ (0..<groups).contains($0) }) else {
        throw fail("g_idx names a group that is not there")
      }
    } else {
      let size = try groupSize(inputs: inputs, groups: groups)
      groupOf = (0..<inputs).map { $0 / size }
    }
    let decoder = GPTQDecoder(
      words: main, scales: scales, zeros: zeros, groupOf: groupOf, bits: bits,
      zeroOffset: settings.isGPTQVersion2 ? 0 : 1)
    return try result(
      [outputs, inputs], decoder, kind: "GPTQ\(settings.isGPTQVersion2 ? " v2" : "") int\(bits)",
      uses: [".qweight", ".qzeros", ".scales", ".g_idx"], isPaneled: true)
  }

  private func inferredBits(words: Int, zeroWords: Int, outputs: Int) -> Int? {
    [2, 3, 4, 8].first { (outputs * $0 + 31) / 32 == zeroWords }
  }

  func awq() throws(ContainerError) -> Result {
    let scales = try beside(".scales")
    let zeros = try beside(".qzeros")
    let inputs = main.shape.dimensions[0]
    let outputs = main.shape.dimensions[1] * 8
    let groups = scales.shape.dimensions[0]
    guard scales.shape.columns == outputs, zeros.shape.dimensions == [groups, outputs / 8], zeros.format == .i32,
      scales.format.kind == .float, groups > 0
    else { throw fail("scales and qzeros do not fit: only AWQ's GEMM layout of 4 bits is read") }
    let size = try groupSize(inputs: inputs, groups: groups)
    let decoder = AWQDecoder(words: main, scales: scales, zeros: zeros, columns: inputs, groupSize: size)
    return try result(
      [outputs, inputs], decoder, kind: "AWQ int4, groups of \(size)", uses: [".qweight", ".qzeros", ".scales"],
      isPaneled: true)
  }
}

/// w[o, i] = (q[i, o] − z[g(i), o]) · s[g(i), o]; rows of the result are columns of what is stored.
struct GPTQDecoder: RowDecoder {
  let words: TensorRef
  let scales: TensorRef
  let zeros: TensorRef
  let groupOf: [Int]
  let bits: Int
  let zeroOffset: Int

  var columns: Int { groupOf.count }

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let outputs = scales.shape.columns
    let scale = try scales.floats()
    let zero = try zeros.readAll()
    let fields = BitFields(bits: bits)
    // Rows of words that a run of 32 inputs fills exactly: at most eight.
    let inputsPerRun = 32
    let wordsPerRun = bits
    let mask = UInt64(1) << UInt64(bits) - 1
    var offsets = [Float](repeating: 0, count: (scale.count / outputs) * rows.count)
    for group in 0..<scale.count / outputs {
      for output in rows {
        let stored = Int(fields.value(output, in: zero.rawSpan, from: group * zeros.rowByteCount))
        offsets[group * rows.count + output - rows.lowerBound] = Float(stored + zeroOffset)
      }
    }
    var input = 0
    var wordRow = 0
    while input < columns {
      let count = min(wordsPerRun, words.shape.rows - wordRow)
      let run = try words.bytes(rows: wordRow..<wordRow + count)
      let span = run.rawSpan
      for index in 0..<min(inputsPerRun, columns - input) {
        let bit = index * bits
        let word = bit / 32
        let group = groupOf[input + index]
        for output in rows {
          var pair = UInt64(span.integer(at: word * words.rowByteCount + output * 4, as: UInt32.self))
          if bit % 32 + bits > 32 {
            pair |= UInt64(span.integer(at: (word + 1) * words.rowByteCount + output * 4, as: UInt32.self)) << 32
          }
          let quant = Float(pair >> UInt64(bit % 32) & mask)
          let row = output - rows.lowerBound
          values[row * columns + input + index] =
            (quant - offsets[group * rows.count + row]) * scale[group * outputs + output]
        }
      }
      input += inputsPerRun
      wordRow += wordsPerRun
    }
  }
}

/// The same with words along outputs, eight of four bits in AWQ's order.
struct AWQDecoder: RowDecoder {
  let words: TensorRef
  let scales: TensorRef
  let zeros: TensorRef
  let columns: Int
  let groupSize: Int

  /// Where column 8c + k lies in its word, in fields of four bits.
  private static let places: [UInt32] = [0, 4, 1, 5, 2, 6, 3, 7]

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let scale = try scales.floats()
    let zero = try zeros.readAll()
    let outputs = scales.shape.columns
    let slab = max(1, (1 << 18) / max(1, words.rowByteCount))
    var first = 0
    while first < columns {
      let last = min(first + slab, columns)
      let read = try words.bytes(rows: first..<last)
      for input in first..<last {
        let group = input / groupSize
        for output in rows {
          let shift = Self.places[output & 7] * 4
          let at = output / 8 * 4
          let quant = read.integer(at: (input - first) * words.rowByteCount + at, as: UInt32.self) >> shift & 15
          let offset = zero.integer(at: group * zeros.rowByteCount + at, as: UInt32.self) >> shift & 15
          values[(output - rows.lowerBound) * columns + input] =
            (Float(quant) - Float(offset)) * scale[group * outputs + output]
        }
      }
      first = last
    }
  }
}
