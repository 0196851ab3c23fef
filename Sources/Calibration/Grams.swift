import Catalog
import Kernels

/// Buffers for sums of outer products, made once for all layers.
final class Grams {
  let accumulator: GramAccumulator
  private let tokens: Int
  private var matrices: [Int: Matrix] = [:]

  init(_ configuration: TransformerConfiguration, tokens: Int) {
    self.tokens = tokens
    let widest = max(
      configuration.width, configuration.headCount * configuration.valueLength, configuration.feedForwardWidth)
    accumulator = GramAccumulator(tokens: tokens, columns: widest)
  }

  /// A matrix of a window's inputs, to keep one while the other is computed.
  func kept(columns: Int) -> Matrix {
    if let matrix = matrices[columns] { return matrix }
    let matrix = Matrix(rows: tokens, columns: columns)
    matrices[columns] = matrix
    return matrix
  }

  /// Σ w x xᵀ of all four inputs of a block over all windows, whose states it moves past the block.
  /// - Parameter weights: w of a window's tokens; nil for ones.
  func collect(
    _ block: DecoderBlock, _ runner: BlockRunner, over states: TokenStates, on processor: Processor,
    weights: (BlockInput, Int) -> Floats?
  ) -> [BlockInput: Matrix] {
    var matrices: [BlockInput: Matrix] = [:]
    for input in BlockInput.allCases {
      let columns = runner.matrix(of: input).columns
      matrices[input] = Matrix(rows: columns, columns: columns)
    }
    for window in 0..<states.windowCount {
      runner.run(block, on: states[window]) { input in
        guard let gram = matrices[input] else { return }
        accumulator.addSymmetric(
          runner.matrix(of: input), weights: weights(input, window), into: gram, on: processor)
      }
    }
    return matrices
  }
}
