import Bytes
import IR
import Kernels
import Synchronization

/// Σ (scale · x)² of each row of a matrix, with a scale per column.
///
/// Gathered from rows that are decoded on their way elsewhere; only those that did not pass by are read when the sums are
/// taken. A row's sum is the same either way. Safe from any thread.
package final class SquaredRowSums: Sendable {
  private enum State {
    case untouched
    /// NaN where a row's sum is not known yet.
    case gathering([Double])
    case taken
  }

  private let tensor: TensorRef
  /// All 1 where nil; the value is nil where they cannot be told, and then no sum can.
  private let scales: Deferred<[Float]?>?
  private let kernels: Kernels
  private let state = Mutex<State>(.untouched)

  init(of tensor: TensorRef, scales: Deferred<[Float]?>? = nil, kernels: Kernels) {
    self.tensor = tensor
    self.scales = scales
    self.kernels = kernels
  }

  /// - Parameter values: of `rows`, decoded.
  @Sendable package func gather(_ values: Span<Float>, rows: Range<Int>) {
    guard let found = sums(of: values, rows: rows) else { return }
    state.withLock { state in
      var known: [Double]
      switch state {
      case .untouched: known = [Double](repeating: .nan, count: tensor.shape.rows)
      case .gathering(let sums): known = sums
      case .taken: return
      }
      state = .untouched  // else the array would be copied
      known.replaceSubrange(rows, with: found)
      state = .gathering(known)
    }
  }

  /// One per row; nil where they cannot be read. Forgets them: those of a whole model would grow with it.
  func take() -> [Double]? {
    let gathered = state.withLock { state in
      defer { state = .taken }
      return if case .gathering(let sums) = state { sums } else { [Double](repeating: .nan, count: tensor.shape.rows) }
    }
    return completed(gathered)
  }

  private func completed(_ gathered: [Double]) -> [Double]? {
    var sums = gathered
    var reader: DecodedRows?
    let step = max(1, (1 << 16) / max(1, tensor.shape.columns))
    var first = 0
    while let next = sums[first...].firstIndex(where: \.isNaN) {
      let rows = next..<(sums[next...].prefix(step).firstIndex { !$0.isNaN } ?? min(next + step, sums.count))
      reader = reader ?? DecodedRows(of: tensor, kernels)
      guard reader?.read(rows) == true, let values = reader?.values,
        let found = self.sums(of: values.span, rows: rows)
      else { return nil }
      sums.replaceSubrange(rows, with: found)
      first = rows.upperBound
    }
    return sums
  }

  private func sums(of values: Span<Float>, rows: Range<Int>) -> [Double]? {
    let columns = tensor.shape.columns
    var scaling: [Float] = []
    if let scales {
      guard let found = scales.value, found.count == columns else { return nil }
      scaling = found
    }
    var sums: [Double] = []
    sums.reserveCapacity(rows.count)
    for row in 0..<rows.count {
      let row = values.extracting(row * columns..<(row + 1) * columns)
      sums.append(scaling.isEmpty ? kernels.squaredSum(row) : kernels.squaredSum(row, scales: scaling.span))
    }
    return sums
  }
}
