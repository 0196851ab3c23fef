import Bytes
import IR
import Kernels
import Passes
import Testing

/// The layouts, read by the libraries' formulas.
private struct Unpacked {
  let parts: [ByteString: [UInt8]]

  init(_ matrix: PackedMatrix) throws {
    parts = Dictionary(
      uniqueKeysWithValues: try matrix.tensors(path: "m").map { tensor in (tensor.name, try tensor.readAll()) })
  }

  func word(_ part: ByteString, _ index: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(parts[part]?[4 * index + $1] ?? 0) << UInt32(8 * $1) }
  }
  func float(_ part: ByteString, _ index: Int) -> Float { Float(bitPattern: word(part, index)) }
  func half(_ part: ByteString, _ index: Int) -> Float {
    let bytes = parts[part] ?? []
    return Float(Float16(bitPattern: UInt16(bytes[2 * index]) | UInt16(bytes[2 * index + 1]) << 8))
  }

  /// [outputs, inputs]
  func values(_ method: PackingScheme.Method, outputs: Int, inputs: Int) -> [Float] {
    let awqOrder = [0, 2, 4, 6, 1, 3, 5, 7]
    return (0..<outputs).flatMap { o in
      (0..<inputs).map { i -> Float in
        switch method {
        case .gptq:
          let group = Int(word("m.g_idx", i))
          let code = word("m.qweight", i / 8 * outputs + o) >> UInt32(4 * (i % 8)) & 15
          let zero = word("m.qzeros", group * outputs / 8 + o / 8) >> UInt32(4 * (o % 8)) & 15
          return Float(Int(code) - Int(zero) - 1) * half("m.scales", group * outputs + o)
        case .awq:
          let group = i / 32
          let place = UInt32(4 * (awqOrder.firstIndex(of: o % 8) ?? 0))
          let code = word("m.qweight", (i * outputs + o) / 8) >> place & 15
          let zero = word("m.qzeros", (group * outputs + o) / 8) >> place & 15
          return Float(Int(code) - Int(zero)) * half("m.scales", group * outputs + o)
        case .w8a8:
          let code = Int8(bitPattern: parts["m.weight"]?[o * inputs + i] ?? 0)
          return Float(code) * float("m.weight_scale", o)
        case .nf4:
          let place = o * inputs + i
          let byte = parts["m.weight"]?[place / 2] ?? 0
          let code = place % 2 == 0 ? byte >> 4 : byte & 15
          return float("m.weight.quant_map", Int(code)) * float("m.weight.absmax", place / 64)
        }
      }
    }
  }
}

@Suite struct PackingTests {
  static let schemes: [(scheme: PackingScheme, bound: Float)] = [
    (PackingScheme(method: .gptq, groupSize: 32), 0.1), (PackingScheme(method: .awq, groupSize: 32), 0.1),
    (PackingScheme(method: .w8a8, groupSize: 0), 0.01), (PackingScheme(method: .nf4, groupSize: 0), 0.1),
  ]

  static func matrix(_ values: [Float], outputs: Int, inputs: Int) -> TensorRef {
    var bytes = ByteWriter()
    for value in values { bytes.append(value) }
    return TensorRef(
      name: "m.weight", shape: .matrix(rows: outputs, columns: inputs), format: .f32,
      source: MemoryTensorSource(bytes: bytes.bytes, rowByteCount: inputs * 4))
  }

  static func noise(_ count: Int) -> [Float] {
    var state: UInt64 = 7
    func next() -> Float {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(state >> 40) / Float(1 << 24) - 0.5
    }
    return (0..<count).map { _ in (next() + next() + next() + next()) * 0.1 }
  }

  @Test("what is stored decodes to nearly what it was", arguments: schemes.indices)
  func roundTrip(row: Int) throws {
    let (scheme, bound) = Self.schemes[row]
    // 96 inputs: three groups of 32, and blocks of 64 that run on over rows.
    let (outputs, inputs) = (16, 96)
    let values = Self.noise(outputs * inputs)
    let base = Self.matrix(values, outputs: outputs, inputs: inputs)
    let matrix = try #require(PackedMatrix(base, as: scheme, importance: nil, kernels: .best()))
    let decoded = try Unpacked(matrix).values(scheme.method, outputs: outputs, inputs: inputs)
    var (error, sum): (Float, Float) = (0, 0)
    for (a, b) in zip(values, decoded) {
      error += (a - b) * (a - b)
      sum += a * a
    }
    #expect((error / sum).squareRoot() < bound)
    let statistics = matrix.statistics
    #expect(abs(Float(statistics.squaredError) - error) < 1e-3 * error && statistics.nonFiniteCount == 0)
    // A second reading, after everything was let go, gives the same.
    #expect(try Unpacked(matrix).parts == Unpacked(matrix).parts)
  }

  @Test("zeros, constants and what is not finite", arguments: schemes.indices)
  func awkward(row: Int) throws {
    let scheme = Self.schemes[row].scheme
    var values = [Float](repeating: 0, count: 16 * 64)
    for index in 512..<1024 { values[index] = 0.5 }
    values[3] = .nan
    values[900] = .infinity
    let base = Self.matrix(values, outputs: 16, inputs: 64)
    let matrix = try #require(PackedMatrix(base, as: scheme, importance: nil, kernels: .best()))
    let decoded = try Unpacked(matrix).values(scheme.method, outputs: 16, inputs: 64)
    for (index, value) in decoded.enumerated() {
      #expect(abs(value - (values[index].isFinite ? values[index] : 0)) < 0.02, "\(index)")
    }
    #expect(matrix.statistics.nonFiniteCount == 2)
  }

  @Test("importance steers the scales")
  func importance() throws {
    let values = Self.noise(16 * 64)
    let weights = (0..<64).map { $0 % 4 == 0 ? Float(50) : 0.1 }
    func error(_ importance: [Float]?) throws -> Float {
      let base = Self.matrix(values, outputs: 16, inputs: 64)
      let scheme = PackingScheme(method: .gptq, groupSize: 64)
      let matrix = try #require(PackedMatrix(base, as: scheme, importance: importance, kernels: .best()))
      let decoded = try Unpacked(matrix).values(.gptq, outputs: 16, inputs: 64)
      return zip(values, decoded).enumerated().reduce(0) { sum, pair in
        let e = pair.element.0 - pair.element.1
        return sum + weights[pair.offset % 64] * e * e
      }
    }
    #expect(try error(weights) < 0.95 * error(nil))
  }

  @Test("groups shrink until they divide every row")
  func fitting() {
    let scheme = PackingScheme(method: .gptq, groupSize: 128)
    #expect(scheme.fitted(to: [.matrix(rows: 8, columns: 576)]).groupSize == 64)
    #expect(scheme.fitted(to: [.matrix(rows: 8, columns: 256), .matrix(rows: 8, columns: 96)]).groupSize == 32)
    #expect(scheme.fitted(to: [.matrix(rows: 8, columns: 4096)]).groupSize == 128)
    #expect(!scheme.fits(.matrix(rows: 8, columns: 200)) && !scheme.fits(.matrix(rows: 7, columns: 256)))
  }
}
