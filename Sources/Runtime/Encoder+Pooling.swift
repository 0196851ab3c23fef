public import Kernels

extension Encoder {
  /// The mean of the states of each sequence's tokens. [sequences, width]; allocates.
  public func means(_ batch: Batch) -> Matrix {
    let width = batch.states.columns
    let out = Matrix(rows: batch.ranges.count, columns: width)
    for (row, range) in batch.ranges.enumerated() where !range.isEmpty {
      var sums = [Double](repeating: 0, count: width)
      for token in range {
        batch.states[token].withSpan { state in
          for i in 0..<width { sums[i] += Double(state[i]) }
        }
      }
      out[row].withMutableSpan { span in
        for i in 0..<width { span[i] = Float(sums[i] / Double(range.count)) }
      }
    }
    return out
  }

  /// Divides each row by its length; one of length 0 stays.
  public func normalize(_ vectors: Matrix) {
    for row in 0..<vectors.rows {
      vectors[row].withMutableSpan { span in
        var square = 0.0
        for i in 0..<span.count { square += Double(span[i]) * Double(span[i]) }
        guard square > 0 else { return }
        let factor = 1 / square.squareRoot()
        for i in 0..<span.count { span[i] = Float(Double(span[i]) * factor) }
      }
    }
  }
}
