import Bytes
import Codecs
import IR
import Kernels

/// Quantizes rows of a matrix and puts their codes where PackingScheme's layout wants them.
struct PackedWriter {
  private let scheme: PackingScheme
  private let outputs: Int
  private let inputs: Int
  private let scaleFormat: BlockFormat
  private let search: GroupSearch
  private(set) var parts: [[UInt8]]
  private(set) var statistics = RecodeStatistics()

  /// Where column 8c + k lies in AWQ's word, in fields of four bits.
  private static let awqPlaces = [0, 4, 1, 5, 2, 6, 3, 7]
  private static let symmetricPlaces: [Float] = (0..<11).map { 7 + 0.25 * Float($0) }
  private static let bytePlaces: [Float] = (0..<4).map { 127 + 0.5 * Float($0) }

  init(_ scheme: PackingScheme, shape: Shape, scaleFormat: BlockFormat) {
    self.scheme = scheme
    (outputs, inputs) = (shape.rows, shape.columns)
    self.scaleFormat = scaleFormat
    search = GroupSearch(scheme.method == .w8a8 ? scaleFormat : scheme.method == .nf4 ? .f32 : .f16)
    parts = scheme.parts(of: shape, scaleFormat: scaleFormat).map { part in
      [UInt8](repeating: 0, count: part.shape.elementCount * part.format.bytesPerBlock)
    }
    switch scheme.method {
    case .gptq:
      for input in 0..<inputs { Self.store(UInt32(input / scheme.groupSize), 4, at: input, in: &parts[0]) }
      // Version 1 stores the zero point, 8, less one.
      for index in parts[2].indices { parts[2][index] = 0x77 }
    case .nf4:
      for (index, level) in GroupSearch.normalFloats.enumerated() {
        Self.store(level.bitPattern, 4, at: index, in: &parts[2])
      }
      parts[3] = scheme.state(of: shape, scaleFormat)
    case .awq, .w8a8: break
    }
  }

  /// - Parameters:
  ///   - values: [rows, inputs]; those that are not finite count as zero.
  ///   - groups: scales and zeros where they are known, of all rows.
  mutating func add(
    rows: Range<Int>, _ values: [Float], importance: [Float]?, groups: FeedbackGroups? = nil
  ) {
    let known = groups.map { (scales: $0.scales.array(), zeros: $0.zeros.array()) }
    var clean = values
    for index in clean.indices where !clean[index].isFinite {
      clean[index] = 0
      statistics.nonFiniteCount += 1
    }
    let groupSize = scheme.method == .w8a8 ? inputs : scheme.method == .nf4 ? 64 : scheme.groupSize
    let all = clean.span
    if scheme.method == .nf4 {
      // Blocks run over the flattened matrix; slabs begin at whole blocks only where rows do, so they are cut by rows.
      precondition(inputs % 64 == 0 || rows == 0..<outputs, "a block across slabs")
    }
    let weightsOfRow = importance ?? [Float](repeating: 1, count: max(inputs, groupSize))
    let weights = weightsOfRow.span
    for start in stride(from: 0, to: clean.count, by: groupSize) {
      let x = all.extracting(start..<min(start + groupSize, clean.count))
      let (row, column) = (rows.lowerBound + start / inputs, start % inputs)
      // NF4's blocks may run on into the next row, and weighs nothing.
      let first = scheme.method == .nf4 ? 0 : column
      let given = known.map { known in
        let index = row * (inputs / groupSize) + column / groupSize
        return GroupSearch.Found(scale: known.scales[index], zero: known.zeros[index], error: 0)
      }
      put(
        x, row: row, column: column, weights: weights.extracting(first..<min(first + x.count, weights.count)),
        given: given)
    }
  }

  private mutating func put(
    _ x: Span<Float>, row: Int, column: Int, weights: Span<Float>, given: GroupSearch.Found?
  ) {
    let group = scheme.groupSize > 0 ? column / scheme.groupSize : 0
    switch scheme.method {
    case .gptq:
      let found = given ?? search.symmetric(x, weights: weights, levels: 8, places: Self.symmetricPlaces)
      Self.store(UInt32(Float16(found.scale).bitPattern), 2, at: group * outputs + row, in: &parts[3])
      let inverse = found.scale > 0 ? 1 / found.scale : 0
      for index in x.indices {
        let q = GroupSearch.rounded(min(max(x[index] * inverse, -8), 7))
        count(x[index], q * found.scale)
        let input = column + index
        parts[1][((input / 8) * outputs + row) * 4 + input % 8 / 2] |= UInt8(q + 8) << UInt8(4 * (input & 1))
      }
    case .awq:
      let found = given ?? search.affine(x, weights: weights, most: 15)
      Self.store(UInt32(Float16(found.scale).bitPattern), 2, at: group * outputs + row, in: &parts[2])
      let (place, words) = (Self.awqPlaces[row & 7], outputs / 8)
      let shift = UInt8(4 * (place & 1))
      parts[1][(group * words + row / 8) * 4 + place / 2] |= UInt8(found.zero) << shift
      let inverse = found.scale > 0 ? 1 / found.scale : 0
      for index in x.indices {
        let q = min(max(GroupSearch.rounded(x[index] * inverse) + found.zero, 0), 15)
        count(x[index], (q - found.zero) * found.scale)
        parts[0][((column + index) * words + row / 8) * 4 + place / 2] |= UInt8(q) << shift
      }
    case .w8a8:
      let found = given ?? search.symmetric(x, weights: weights, levels: 128, places: Self.bytePlaces)
      switch scaleFormat {
      case .f16: Self.store(UInt32(Float16(found.scale).bitPattern), 2, at: row, in: &parts[1])
      case .bf16: Self.store(found.scale.bitPattern >> 16, 2, at: row, in: &parts[1])
      default: Self.store(found.scale.bitPattern, 4, at: row, in: &parts[1])
      }
      let inverse = found.scale > 0 ? 1 / found.scale : 0
      for index in x.indices {
        let q = GroupSearch.rounded(min(max(x[index] * inverse, -128), 127))
        count(x[index], q * found.scale)
        parts[0][row * inputs + index] = UInt8(bitPattern: Int8(q))
      }
    case .nf4:
      let found = search.normalFloat(x)
      let first = row * inputs + column
      Self.store(found.scale.bitPattern, 4, at: first / 64, in: &parts[1])
      let inverse = found.scale > 0 ? 1 / found.scale : 0
      for index in x.indices {
        let code = GroupSearch.normalFloatCode(x[index] * inverse)
        count(x[index], GroupSearch.normalFloats[code] * found.scale)
        parts[0][(first + index) / 2] |= UInt8(code) << UInt8((first + index) % 2 == 0 ? 4 : 0)
      }
    }
  }

  private mutating func count(_ value: Float, _ decoded: Float) {
    let error = Double(value - decoded)
    statistics.squaredError += error * error
    statistics.squaredSum += Double(value) * Double(value)
  }

  private static func store(_ value: UInt32, _ byteCount: Int, at index: Int, in bytes: inout [UInt8]) {
    for byte in 0..<byteCount {
      bytes[index * byteCount + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte))
    }
  }
}
