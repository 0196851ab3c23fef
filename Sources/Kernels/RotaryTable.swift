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

extension Processor {
  /// Rotates the first 2 · table.pairs elements of every head, in place. x: [tokens, heads · headDim], row t at
  /// `position` + t.
  public func rotate(
    _ x: Matrix, heads: Int, headDim: Int, table: RotaryTable, position: Int, pairing: RotaryPairing
  ) {
    precondition(x.columns == heads * headDim && 2 * table.pairs <= headDim, "the heads have another shape")
    precondition(position >= 0 && position + x.rows <= table.positions, "a position exceeds the table")
    guard x.rows > 0 else { return }
    let rowsPerTask = rowsPerTask(rows: x.rows, columns: x.columns)
    let arguments = unsafe quern_rope(
      x: x.base, xStride: x.stride, tokens: x.rows, heads: heads, headDim: headDim, pairs: table.pairs,
      cosines: table.cosines.base, sines: table.sines.base, position: position,
      interleaved: pairing == .neighbours ? 1 : 0, rowsPerTask: rowsPerTask)
    unsafe pool.run(kernels.math.rope, arguments, tasks: (x.rows + rowsPerTask - 1) / rowsPerTask)
  }
}
