public import Kernels

/// What errors of a layer's weights cost: H = Σ x xᵀ over its inputs, damped, factored as M D Mᵀ for error feedback.
///
/// M is unit upper triangular, so columns are rounded in ascending order (LDLQ, Chee et al. 2023; the same as GPTQ,
/// Frantar et al. 2022, without an inverse). Memory: 8 + 2 + 4 bytes per element of H.
public final class InputHessian: Sendable {
  public let columns: Int
  /// The mean of the undamped diagonal: the size of an input, squared, summed over tokens.
  public let scale: Double
  let panels: FeedbackPanels
  private let cholesky: CholeskyFactor

  /// - Parameters:
  ///   - gram: Σ x xᵀ [columns, columns], of which the part with column ≥ row is read; columns a multiple of 32.
  ///   - damping: this share of the mean diagonal is added to the diagonal: what H has not seen must not be free.
  /// Nil when `gram` holds something that is not finite.
  public init?(gram: Matrix, damping: Double, on processor: Processor) {
    let columns = gram.columns
    precondition(gram.rows == columns && columns % 32 == 0, "\(gram.rows) × \(columns)")
    self.columns = columns
    let values = gram.floats
    let stride = gram.stride
    var trace = 0.0
    values.withSpan { values in for c in 0..<columns { trace += Double(values[c * stride + c]) } }
    guard trace.isFinite else { return nil }
    scale = trace / Double(columns)
    let added = scale > 0 ? damping * scale : 1
    let last = columns - 1
    // M and D from the bottom right corner: the factor of the matrix in reverse order.
    guard
      let cholesky = values.withSpan({ values in
        CholeskyFactor(size: columns, on: processor) { row, column in
          let (i, j) = (last - row, last - column)
          return Double(values[i * stride + j]) + (i == j ? added : 0)
        }
      })
    else { return nil }
    self.cholesky = cholesky
    let diagonal = Floats(
      (0..<columns).map { c in
        let pivot = cholesky[last - c, last - c]
        return Float(pivot * pivot)
      })
    let factor = Self.panels(columns: columns, rows: { 32 * ($0 + 1) }) { row, column in
      row > column ? 0 : Float(cholesky[last - row, last - column] / cholesky[last - column, last - column])
    }
    let dense = values.withSpan { values in
      Self.panels(columns: columns, rows: { _ in columns }) { row, column in
        values[min(row, column) * stride + max(row, column)] + (row == column ? Float(added) : 0)
      }
    }
    panels = FeedbackPanels(columns: columns, factor: factor, diagonal: diagonal, gram: dense)
  }

  /// [panel of 32 columns][rows(panel)][32]
  private static func panels(columns: Int, rows: (Int) -> Int, element: (Int, Int) -> Float) -> Floats {
    let count = (0..<columns / 32).reduce(0) { $0 + rows($1) * 32 }
    let result = Floats(count: count)
    result.withMutableSpan { out in
      var place = 0
      for panel in 0..<columns / 32 {
        for row in 0..<rows(panel) {
          for column in 0..<32 {
            out[place] = element(row, panel * 32 + column)
            place += 1
          }
        }
      }
    }
    return result
  }

  /// z = y · H⁻¹ for every row of `values` [rows, columns], in place.
  public func solve(_ values: Matrix, on processor: Processor) {
    precondition(values.columns == columns)
    processor.pool.run(tasks: (values.rows + 15) / 16) { task in
      let rows = task * 16..<min(task * 16 + 16, values.rows)
      var systems = [Double](repeating: 0, count: columns * 16)
      for (lane, row) in rows.enumerated() {
        values[row].withSpan { row in
          for c in 0..<columns { systems[(columns - 1 - c) * 16 + lane] = Double(row[c]) }
        }
      }
      cholesky.solve(&systems)
      for (lane, row) in rows.enumerated() {
        values[row].withMutableSpan { row in
          for c in 0..<columns { row[c] = Float(systems[(columns - 1 - c) * 16 + lane]) }
        }
      }
    }
  }
}
