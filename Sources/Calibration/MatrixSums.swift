import Kernels

/// Sums over a matrix's elements, by column and by row. The order of additions is fixed.
struct MatrixSums {
  private let processor: Processor
  private static let strip = 128

  init(_ processor: Processor) { self.processor = processor }

  /// sums[c] += Σ_r x[r, c]²; empty sums start at zero.
  func add(_ x: Matrix, toColumns sums: inout [Double]) {
    if sums.isEmpty { sums = [Double](repeating: 0, count: x.columns) }
    let result = Floats(count: x.columns)
    processor.pool.run(tasks: (x.columns + Self.strip - 1) / Self.strip) { task in
      let columns = task * Self.strip..<min((task + 1) * Self.strip, x.columns)
      result[columns].withMutableSpan { sums in
        for row in 0..<x.rows {
          x[row][columns].withSpan { values in
            for index in 0..<values.count { sums[index] += values[index] * values[index] }
          }
        }
      }
    }
    for (index, value) in result.array().enumerated() { sums[index] += Double(value) }
  }

  /// sums[c] += Σ_r weights[r] · x[r, c]; weights of 1 where not given.
  func addMean(_ x: Matrix, weights: Floats?, to sums: inout [Double]) {
    if sums.isEmpty { sums = [Double](repeating: 0, count: x.columns) }
    for row in 0..<x.rows {
      let weight = weights.map { $0.withSpan { Double($0[row]) } } ?? 1
      x[row].withSpan { values in for column in 0..<values.count { sums[column] += weight * Double(values[column]) } }
    }
  }

  /// sums[r] += Σ_c x[r, c]².
  func add(_ x: Matrix, toRows sums: inout [Double]) {
    let result = Floats(count: x.rows)
    let rowsPerTask = 32
    processor.pool.run(tasks: (x.rows + rowsPerTask - 1) / rowsPerTask) { task in
      for row in task * rowsPerTask..<min((task + 1) * rowsPerTask, x.rows) {
        x[row].withSpan { values in
          // Eight chains, so that one need not wait for the other.
          var chains = SIMD8<Float>.zero
          var index = 0
          while index + 8 <= values.count {
            for lane in 0..<8 { chains[lane] += values[index + lane] * values[index + lane] }
            index += 8
          }
          var sum: Float = 0
          while index < values.count {
            sum += values[index] * values[index]
            index += 1
          }
          for lane in 0..<8 { sum += chains[lane] }
          result[row..<row + 1].withMutableSpan { $0[0] = sum }
        }
      }
    }
    for (index, value) in result.array().enumerated() { sums[index] += Double(value) }
  }
}
