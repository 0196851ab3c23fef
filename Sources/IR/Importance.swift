public import Bytes

/// How much each input channel of each matrix matters: the mean square of what a calibration text puts into it.
/// What llama.cpp calls an imatrix.
public struct Importance: Hashable, Sendable {
  /// Of one tensor. Stacked experts have a row of channels and a count each.
  public struct Entry: Hashable, Sendable {
    /// Sums of squares, [matrix, channel].
    public var sums: [Float]
    /// Tokens that were summed, per matrix; 0 for an expert that saw none.
    public var counts: [Float]

    /// - Precondition: a whole number of channels for each of one or more counts.
    public init(sums: [Float], counts: [Float]) {
      precondition(!counts.isEmpty && sums.count % counts.count == 0, "sums do not fill the counts' rows")
      self.sums = sums
      self.counts = counts
    }

    /// Mean squares, [matrix, channel]; 1 throughout for a matrix that saw no token.
    public var meanSquares: [Float] {
      let channels = sums.count / counts.count
      return sums.indices.map { index in
        let count = counts[index / channels]
        return count > 0 ? sums[index] / count : 1
      }
    }
  }

  /// By the tensor's name in GGUF.
  public private(set) var entries: [ByteString: Entry] = [:]
  /// Names of the texts.
  public var datasets: [ByteString]
  /// Windows of the texts that were run, and the tokens of one.
  public var chunkCount: Int
  public var chunkSize: Int

  public init(datasets: [ByteString] = [], chunkCount: Int = 0, chunkSize: Int = 0) {
    self.datasets = datasets
    self.chunkCount = chunkCount
    self.chunkSize = chunkSize
  }

  public subscript(name: ByteString) -> Entry? {
    get { entries[name] }
    set { entries[name] = newValue }
  }

  /// Weights for the columns' squared errors, a row of columns per matrix of the tensor's stack, or nil where the entry
  /// is of another shape. No weight is zero: a channel that the text left silent may speak elsewhere.
  public func weights(of name: ByteString, shape: Shape) -> [Float]? {
    guard let entry = entries[name] else { return nil }
    let columns = shape.columns
    let matrices = shape.dimensions.count > 2 ? shape.dimensions.dropLast(2).reduce(1, *) : 1
    guard columns > 0, entry.sums.count == columns * matrices else { return nil }
    var weights = entry.meanSquares
    for matrix in 0..<matrices {
      let row = matrix * columns..<(matrix + 1) * columns
      let mean = weights[row].reduce(0.0) { $0 + Double($1) } / Double(columns)
      let floor = mean > 0 ? Float(mean * 1e-4) : 1
      for index in row { weights[index] = max(weights[index], floor) }
    }
    return weights
  }
}
