import Kernels

/// How much each token of the calibration text counts for the layers of an input: the loss's squared gradient at their
/// outputs, summed over them, with mean 1 over the tokens (GuidedQuant, Kim et al. 2025, with one group).
///
/// The error of a layer's output costs by how the loss answers there. Few tokens answer much more than others, and the
/// largest inputs (those of a text's first tokens) often not at all, which a plain sum of squares cannot know.
public struct TokenWeights: Sendable {
  /// [layer · inputs + input][token over all windows]
  private let layers: [Floats]
  /// Of the head's inputs: how undecided the prediction is, 1 − Σ p².
  private let head: Floats
  private let tokens: Int

  /// - Parameters:
  ///   - squares: [layer · inputs + input][token]: Σ g² over the outputs of the layers that read the input.
  ///   - tokens: of a window.
  init(squares: [[Double]], head: [Double], tokens: Int) {
    self.tokens = tokens
    layers = squares.map(Self.normalized)
    self.head = Self.normalized(head)
  }

  private static func normalized(_ squares: [Double]) -> Floats {
    let mean = squares.reduce(0, +) / Double(max(1, squares.count))
    guard mean > 0, mean.isFinite else { return Floats(squares.map { _ in 1 }) }
    return Floats(squares.map { Float($0 / mean) })
  }

  /// Of one window's tokens.
  func weights(layer: Int, _ input: BlockInput, window: Int) -> Floats {
    layers[layer * BlockInput.allCases.count + input.index][window * tokens..<(window + 1) * tokens]
  }

  func headWeights(window: Int) -> Floats { head[window * tokens..<(window + 1) * tokens] }
}
