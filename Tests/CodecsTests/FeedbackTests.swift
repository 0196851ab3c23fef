import Codecs
import IR
import Kernels
import Testing

/// A matrix, the inputs it sees, and what errors on them cost.
private struct Layer {
  static let rows = 41
  let columns: Int
  let weights: Matrix
  let gram: Matrix

  /// Inputs whose columns are correlated, as those of real layers are.
  init(columns: Int, seed: UInt64) {
    self.columns = columns
    var noise = Noise(seed)
    let weights = Matrix(rows: Self.rows, columns: columns)
    weights.floats.withMutableSpan { for index in 0..<$0.count { $0[index] = noise.normal() * 0.05 } }
    let inputs = Matrix(rows: 600, columns: columns)
    inputs.floats.withMutableSpan { values in
      for token in 0..<600 {
        var carried: Float = 0
        for column in 0..<columns {
          carried = 0.8 * carried + noise.normal()
          values[token * columns + column] = carried
        }
      }
    }
    let gram = Matrix(rows: columns, columns: columns)
    GramAccumulator(tokens: 600, columns: columns).addSymmetric(inputs, into: gram, on: .test())
    gram.mirror()
    self.weights = weights
    self.gram = gram
  }

  func hessian(_ processor: Processor = .test()) -> InputHessian? {
    InputHessian(gram: gram, damping: 0.01, on: processor)
  }

  /// δ (H + damping) δᵀ in doubles.
  func cost(of values: [Float]) -> Double {
    let weights = weights.floats.array()
    let gram = gram.floats.array()
    let trace = (0..<columns).reduce(0.0) { $0 + Double(gram[$1 * columns + $1]) }
    var total = 0.0
    for row in 0..<Self.rows {
      let delta = (0..<columns).map { Double(weights[row * columns + $0] - values[row * columns + $0]) }
      for i in 0..<columns {
        var sum = 0.01 * trace / Double(columns) * delta[i]
        for j in 0..<columns { sum += Double(gram[i * columns + j]) * delta[j] }
        total += delta[i] * sum
      }
    }
    return total
  }
}

extension Processor {
  fileprivate static func test(_ kernels: Kernels = .best(), threads: Int = 2) -> Processor {
    Processor(kernels: kernels, pool: WorkerPool(threads: threads))
  }
}

@Suite struct FeedbackTests {
  static let formats: [BlockFormat] = [
    .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4_NL, .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .iq4_XS, .q2_0,
  ]

  @Test("costs far less than rounding each weight alone; the cost it states is the true one", arguments: formats)
  func lowersTheOutputError(format: BlockFormat) throws {
    let layer = Layer(columns: 512, seed: 3)
    let codec = try #require(Codec.for(format, kernels: .best()))
    let hessian = try #require(layer.hessian())
    let plain = codec.encode(layer.weights.floats.array())
    let plainCost = layer.cost(of: codec.decode(plain.bytes, count: Layer.rows * layer.columns))
    var costs: [Double] = []
    for sweeps in [0, 2] {
      let decoded = Matrix(rows: Layer.rows, columns: layer.columns)
      let result = codec.encode(layer.weights, hessian: hessian, sweeps: sweeps, decoded: decoded, on: .test())
      let stored = codec.decode(result.bytes, count: Layer.rows * layer.columns)
      for (a, b) in zip(stored, decoded.floats.array()) { #expect(abs(a - b) < 2e-6) }
      let cost = layer.cost(of: stored)
      #expect(
        abs(result.rowErrors.reduce(0, +) / cost - 1) < 0.01, "stated \(result.rowErrors.reduce(0, +)), is \(cost)")
      costs.append(cost)
    }
    #expect(costs[0] < 0.6 * plainCost, "\(costs[0] / plainCost)")
    #expect(costs[1] < costs[0], "coordinate descent made it worse")
  }

  @Test("the same bytes from every table and any number of threads", arguments: formats)
  func sameBytes(format: BlockFormat) throws {
    let layer = Layer(columns: 256, seed: 5)
    var seen: Set<[UInt8]> = []
    for kernels in Kernels.available {
      for threads in [1, 3] {
        let processor = Processor.test(kernels, threads: threads)
        let codec = try #require(Codec.for(format, kernels: kernels))
        let hessian = try #require(layer.hessian(processor))
        seen.insert(codec.encode(layer.weights, hessian: hessian, sweeps: 1, on: processor).bytes)
      }
    }
    #expect(seen.count == 1)
  }

  @Test("what is no number counts as zero; zeros stay zeros; huge outliers stay finite", arguments: formats)
  func oddWeights(format: BlockFormat) throws {
    let layer = Layer(columns: 256, seed: 9)
    layer.weights.floats.withMutableSpan { values in
      values[3] = .nan
      values[300] = .infinity
      for index in 512..<768 { values[index] = 0 }
      values[800] = 3e4
    }
    let codec = try #require(Codec.for(format, kernels: .best()))
    let hessian = try #require(layer.hessian())
    let result = codec.encode(layer.weights, hessian: hessian, sweeps: 1, on: .test())
    #expect(result.nonFiniteCount == 2)
    let values = codec.decode(result.bytes, count: Layer.rows * 256)
    #expect(values.allSatisfy { $0.isFinite })
    #expect(values[512..<768].allSatisfy { $0 == 0 })
  }

  static let grids: [GroupGrid] = [
    GroupGrid(groupColumns: 32, codes: -8...7, hasZero: false, scales: .f16),
    GroupGrid(groupColumns: 128, codes: -8...7, hasZero: false, scales: .f16),
    GroupGrid(groupColumns: 64, codes: 0...15, hasZero: true, scales: .f16),
    GroupGrid(groupColumns: 256, codes: -128...127, hasZero: false, scales: .bf16),
    GroupGrid(groupColumns: 256, codes: -128...127, hasZero: false, scales: .f32),
  ]

  @Test("groups of GPU libraries: on the grid, cheaper than rounding, the same from every table", arguments: grids)
  func groups(grid: GroupGrid) throws {
    let layer = Layer(columns: 256, seed: 21)
    layer.weights.floats.withMutableSpan { values in
      values[3] = .nan
      for index in 512..<768 { values[index] = 0 }
    }
    var seen: Set<[UInt32]> = []
    for kernels in Kernels.available {
      for threads in [1, 3] {
        let processor = Processor.test(kernels, threads: threads)
        let hessian = try #require(layer.hessian(processor))
        let result = hessian.encodeGroups(grid, targets: layer.weights, on: processor)
        #expect(result.nonFiniteCount == 1)
        let (values, scales, zeros) = (result.decoded.floats.array(), result.scales.array(), result.zeros.array())
        seen.insert((values + scales + zeros).map(\.bitPattern))
        let perRow = 256 / grid.groupColumns
        for (index, value) in values.enumerated() {
          let group = index / 256 * perRow + index % 256 / grid.groupColumns
          #expect(scales[group] > 0 && scales[group].isFinite)
          let code = value / scales[group] + zeros[group]
          #expect(abs(code - code.rounded()) < 2e-3 && grid.codes.contains(Int(code.rounded())))
        }
        #expect(values[512..<768].allSatisfy { $0 == 0 })
      }
    }
    #expect(seen.count == 1)
    // Beside each weight alone, under the scales that error feedback found.
    layer.weights.floats.withMutableSpan { $0[3] = 0 }
    let hessian = try #require(layer.hessian())
    let result = hessian.encodeGroups(grid, targets: layer.weights, on: .test())
    let cost = layer.cost(of: result.decoded.floats.array())
    #expect(abs(result.rowErrors.reduce(0, +) / cost - 1) < 0.01)
    let plain = layer.weights.floats.array().enumerated().map { index, value in
      let group = index / 256 * (256 / grid.groupColumns) + index % 256 / grid.groupColumns
      let (scale, zero) = (result.scales.array()[group], result.zeros.array()[group])
      let code = min(max((value / scale).rounded() + zero, Float(grid.codes.lowerBound)), Float(grid.codes.upperBound))
      return (code - zero) * scale
    }
    #expect(cost < 0.6 * layer.cost(of: plain), "\(cost / layer.cost(of: plain))")
  }

  @Test("inputs that never moved, and inputs that overflowed")
  func oddInputs() throws {
    let zero = Matrix(rows: 64, columns: 64)
    #expect(InputHessian(gram: zero, damping: 0.01, on: .test()) != nil)
    zero.floats.withMutableSpan { $0[65] = .infinity }
    #expect(InputHessian(gram: zero, damping: 0.01, on: .test()) == nil)
  }
}
