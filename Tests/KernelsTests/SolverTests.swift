import Kernels
import Testing

@Suite struct SolverTests {
  private let processor = Processor(kernels: .best(), pool: WorkerPool(threads: 2))

  private func random(_ rows: Int, _ columns: Int, seed: UInt64) -> Matrix {
    var state = seed
    let matrix = Matrix(rows: rows, columns: columns)
    matrix.floats.withMutableSpan { values in
      for index in 0..<values.count {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        values[index] = Float(Int64(bitPattern: state) >> 40) * 0x1p-23
      }
    }
    return matrix
  }

  @Test("sums of outer products, around the kernels' tiles", arguments: [(1, 16, 16), (7, 40, 33), (130, 250, 96)])
  func grams(tokens: Int, rows: Int, columns: Int) {
    let a = random(tokens, rows, seed: 1)
    let b = random(tokens, columns, seed: 2)
    let out = Matrix(rows: rows, columns: columns)
    let square = Matrix(rows: rows, columns: rows)
    let accumulator = GramAccumulator(tokens: tokens, columns: max(rows, columns))
    for _ in 0..<2 {
      accumulator.add(a, b, into: out, on: processor)
      accumulator.addSymmetric(a, into: square, on: processor)
    }
    square.mirror()
    let (x, y) = (a.floats.array(), b.floats.array())
    for i in 0..<rows {
      for j in 0..<max(rows, columns) {
        var products = (0.0, 0.0)
        for t in 0..<tokens {
          if j < columns { products.0 += 2 * Double(x[t * rows + i]) * Double(y[t * columns + j]) }
          if j < rows { products.1 += 2 * Double(x[t * rows + i]) * Double(x[t * rows + j]) }
        }
        if j < columns { #expect(abs(Double(out[i].array()[j]) - products.0) < 1e-4) }
        if j < rows { #expect(abs(Double(square[i].array()[j]) - products.1) < 1e-4) }
      }
    }
  }

  @Test("Cholesky's factor solves what it was made of", arguments: [1, 5, 64, 65, 200])
  func cholesky(size: Int) throws {
    let x = random(size + 9, size, seed: 4).floats.array()
    func element(_ row: Int, _ column: Int) -> Double {
      var sum = row == column ? 0.5 : 0
      for t in 0..<size + 9 { sum += Double(x[t * size + row]) * Double(x[t * size + column]) }
      return sum
    }
    let factor = try #require(CholeskyFactor(size: size, on: processor, element: element))
    let wanted = (0..<size * 16).map { Double($0 % 23) - 11 }
    var values = [Double](repeating: 0, count: size * 16)
    for k in 0..<size {
      for j in 0..<size {
        let a = element(max(k, j), min(k, j))
        for n in 0..<16 { values[k * 16 + n] += a * wanted[j * 16 + n] }
      }
    }
    factor.solve(&values)
    for (value, wanted) in zip(values, wanted) { #expect(abs(value - wanted) < 1e-8) }
    #expect(CholeskyFactor(size: size, on: processor) { $0 == $1 ? -1 : 0 } == nil)
  }

  @Test("the gradient of attention against differences", arguments: [nil, 3])
  func attentionGradient(window: Int?) {
    let (tokens, heads, kvHeads, dim) = (9, 4, 2, 24)
    let query = random(tokens, heads * dim, seed: 1)
    let key = random(tokens, kvHeads * dim, seed: 2)
    let value = random(tokens, kvHeads * dim, seed: 3)
    let outputGradient = random(tokens, heads * dim, seed: 4)
    let scale: Float = 0.7
    let cache = KeyValueCache(kvHeads: kvHeads, capacity: tokens, keyDim: dim, valueDim: dim, element: .f32)
    let out = Matrix(rows: tokens, columns: heads * dim)
    func objective() -> Double {
      processor.append(key, value, to: cache, at: 0)
      processor.attention(
        query, heads: heads, cache: cache, position: 0, scale: scale,
        mask: AttentionMask(causal: true, slidingWindow: window), into: out)
      return zip(out.floats.array(), outputGradient.floats.array()).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }
    let gradients = (
      query: Matrix(rows: tokens, columns: query.columns), key: Matrix(rows: tokens, columns: key.columns),
      value: Matrix(rows: tokens, columns: value.columns)
    )
    processor.attentionGradient(
      query: query, key: key, value: value, heads: heads, kvHeads: kvHeads, scale: scale, slidingWindow: window,
      outputGradient: outputGradient, into: gradients)
    for (matrix, gradient) in [(query, gradients.query), (key, gradients.key), (value, gradients.value)] {
      for index in stride(from: 0, to: matrix.rows * matrix.columns, by: 37) {
        let step: Float = 1e-2
        func moved(_ by: Float) -> Double {
          matrix.floats.withMutableSpan { $0[index] += by }
          defer { matrix.floats.withMutableSpan { $0[index] -= by } }
          return objective()
        }
        let slope = (moved(step) - moved(-step)) / Double(2 * step)
        #expect(abs(slope - Double(gradient.floats.array()[index])) < 2e-3)
      }
    }
  }
}
