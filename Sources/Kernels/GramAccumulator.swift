import CKernels

/// Sums of outer products over tokens: out[i, j] += Σ_t w[t] · a[t, i] · b[t, j].
///
/// The product kernels do the work, with time where their columns are. Holds the buffers between calls. Within a call
/// one chain of fused multiply-adds per element, so results depend on neither threads nor instruction set.
@safe public final class GramAccumulator {
  private let panels: Buffer
  private let groups: Buffer
  private let tokens: Int
  private let columns: Int

  /// Room for `tokens` rows of at most `columns` columns.
  public init(tokens: Int, columns: Int) {
    self.tokens = tokens
    self.columns = columns
    panels = Buffer(byteCount: tokens * (columns + 15) / 16 * 16 * 4 + 64 * tokens)
    groups = Buffer(byteCount: tokens * columns * 4)
  }

  /// out += aᵀ · diag(weights) · b. a: [tokens, rows of out]; b: [tokens, columns of out]; weights: [tokens], or ones.
  public func add(_ a: Matrix, _ b: Matrix, weights: Floats? = nil, into out: Matrix, on processor: Processor) {
    precondition(a.rows == b.rows && out.rows == a.columns && out.columns == b.columns, "shapes differ")
    run(a, b, weights, into: out, blocks: [(0..<b.columns, a.columns)], on: processor)
  }

  /// The same of a matrix with itself; only elements with j ≥ i are complete afterwards, see `Matrix.mirror`.
  public func addSymmetric(_ a: Matrix, weights: Floats? = nil, into out: Matrix, on processor: Processor) {
    precondition(out.rows == a.columns && out.columns == a.columns, "shapes differ")
    // Stripes of columns with the rows above their lower end: a little more than half of the square.
    let stripe = max(64, (a.columns / 8 + 15) / 16 * 16)
    let blocks = stride(from: 0, to: a.columns, by: stripe).map { first in
      let end = min(first + stripe, a.columns)
      return (first..<end, end)
    }
    run(a, a, weights, into: out, blocks: blocks, on: processor)
  }

  private func run(
    _ a: Matrix, _ b: Matrix, _ weights: Floats?, into out: Matrix, blocks: [(columns: Range<Int>, rows: Int)],
    on processor: Processor
  ) {
    precondition(weights.map { $0.count == a.rows } ?? true, "a weight for each token")
    precondition(a.rows <= tokens && a.columns <= columns && b.columns <= columns, "more than there is room for")
    guard a.rows > 0 else { return }
    let tile = processor.kernels.math.tile
    let panelCount = (b.columns + 15) / 16
    let groupCount = (a.columns + tile - 1) / tile
    let (panels, groups) = (panels, groups)
    processor.pool.run(tasks: panelCount + groupCount) { task in
      if task < panelCount {
        let first = task * 16
        unsafe quern_gram_panel(
          b.base + first, b.stride, b.rows, min(16, b.columns - first), weights.map { unsafe UnsafePointer($0.base) },
          panels.base.assumingMemoryBound(to: Float.self) + first * b.rows)
      } else {
        let first = (task - panelCount) * tile
        unsafe quern_gram_group(
          a.base + first, a.stride, a.rows, min(tile, a.columns - first),
          groups.base.assumingMemoryBound(to: Float.self) + first * a.rows)
      }
    }
    let arguments = unsafe blocks.map { block in
      // Whole groups, so that the last group of a stripe is laid out as it was arranged.
      let rows = min(a.columns, (block.rows + tile - 1) / tile * tile)
      let count = (block.columns.count + 15) / 16
      var product = unsafe quern_product()
      unsafe product.weights = QUERN_WEIGHTS_F32
      unsafe product.panels = UnsafePointer(
        (panels.base + block.columns.lowerBound * b.rows * 4).assumingMemoryBound(to: UInt8.self))
      unsafe product.rows = block.columns.count
      unsafe product.columns = b.rows
      unsafe product.input = UnsafeRawPointer(groups.base)
      unsafe product.tokens = rows
      unsafe product.out = out.base + block.columns.lowerBound
      unsafe product.outStride = out.stride
      unsafe product.accumulate = 1
      unsafe product.panelsPerTask = max(1, min(4, count / max(1, processor.pool.threads)))
      return unsafe product
    }
    unsafe processor.pool.run(processor.kernels.math.multiply, all: arguments) { product in
      let count = unsafe (product.rows + 15) / 16
      return unsafe (count + product.panelsPerTask - 1) / product.panelsPerTask
    }
  }
}

extension Matrix {
  /// Copies the elements above the diagonal below it.
  public func mirror() {
    precondition(rows == columns, "not square")
    floats.withMutableSpan { values in
      for i in 0..<rows {
        for j in 0..<i { values[i * stride + j] = values[j * stride + i] }
      }
    }
  }
}
