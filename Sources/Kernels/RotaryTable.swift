import CKernels

/// Cosines and sines of the rotary embedding for the positions 0 ..< `positions`.
public final class RotaryTable: Sendable {
  /// Rotated pairs of each head.
  public let pairs: Int
  public let positions: Int
  let cosines: Floats  // [position, pair]
  let sines: Floats

  /// `inverseFrequencies`: radians per position, one for each pair. `attentionFactor` multiplies both (YaRN, LongRoPE).
  /// The angle is position · frequency rounded to float, as the reference implementations compute it.
  public init(inverseFrequencies: [Float], positions: Int, attentionFactor: Float = 1) {
    pairs = inverseFrequencies.count
    self.positions = positions
    cosines = Floats(count: pairs * positions)
    sines = Floats(count: pairs * positions)
    unsafe inverseFrequencies.withUnsafeBufferPointer { frequencies in
      unsafe quern_rope_table(
        frequencies.baseAddress, pairs, 0, positions, attentionFactor, cosines.base, sines.base)
    }
  }
}

/// Which elements of a head are rotated together.
public enum RotaryPairing: Sendable {
  /// Element i with element i + pairs ("neox", Hugging Face).
  case halves
  /// Element 2i with element 2i + 1 (GPT-J, original LLaMA).
  case neighbours
}

/// Where the tokens of a batch are.
public enum TokenPositions: Sendable {
  /// The first here, each one further than the one before.
  case from(Int)
  /// One for each token.
  case each([Int32])

  /// Those of the rows `range` of the batch.
  public func rows(_ range: Range<Int>) -> TokenPositions {
    switch self {
    case .from(let first): .from(first + range.lowerBound)
    case .each(let all): .each(Array(all[range]))
    }
  }
}

extension Processor {
  /// Rotates the first 2 · table.pairs elements of every head, in place. x: [tokens, heads · headDim], row t at
  /// `position` + t.
  public func rotate(
    _ x: Matrix, heads: Int, headDim: Int, table: RotaryTable, position: Int, pairing: RotaryPairing
  ) {
    rotate(x, heads: heads, headDim: headDim, table: table, positions: .from(position), pairing: pairing)
  }

  /// Rotates 2 · table.pairs elements of every head from its element `offset` on, in place. x: [tokens, heads · headDim].
  public func rotate(
    _ x: Matrix, heads: Int, headDim: Int, offset: Int = 0, table: RotaryTable, positions: TokenPositions,
    pairing: RotaryPairing
  ) {
    precondition(x.columns == heads * headDim && offset >= 0, "the heads have another shape")
    precondition(offset + 2 * table.pairs <= headDim, "the heads have another shape")
    guard x.rows > 0 else { return }
    switch positions {
    case .from(let first):
      precondition(first >= 0 && first + x.rows <= table.positions, "a position exceeds the table")
      unsafe rotate(x, heads, headDim, offset, table, pairing, first: first, positions: nil)
    case .each(let all):
      precondition(all.count == x.rows, "a position for each token")
      precondition(all.allSatisfy { (0..<table.positions).contains(Int($0)) }, "a position exceeds the table")
      unsafe all.withUnsafeBufferPointer {
        unsafe rotate(x, heads, headDim, offset, table, pairing, first: 0, positions: $0.baseAddress)
      }
    }
  }

  private func rotate(
    _ x: Matrix, _ heads: Int, _ headDim: Int, _ offset: Int, _ table: RotaryTable, _ pairing: RotaryPairing,
    first: Int, positions: UnsafePointer<Int32>?
  ) {
    let rowsPerTask = rowsPerTask(rows: x.rows, columns: x.columns)
    let arguments = unsafe quern_rope(
      x: x.base + offset, xStride: x.stride, tokens: x.rows, heads: heads, headDim: headDim, pairs: table.pairs,
      cosines: table.cosines.base, sines: table.sines.base, position: first,
      interleaved: pairing == .neighbours ? 1 : 0, rowsPerTask: rowsPerTask, positions: positions)
    unsafe pool.run(kernels.math.rope, arguments, tasks: (x.rows + rowsPerTask - 1) / rowsPerTask)
  }
}

extension RotaryTable {
  /// [pairs]
  public func cosines(at position: Int) -> Floats { cosines[position * pairs..<(position + 1) * pairs] }
  /// [pairs]
  public func sines(at position: Int) -> Floats { sines[position * pairs..<(position + 1) * pairs] }
}
