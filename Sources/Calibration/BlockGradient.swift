import Kernels

/// x ↦ weight · x / √(mean x² + ε), and its gradient.
struct RootMeanSquare {
  let weight: Floats
  let epsilon: Float

  /// out (+)= the gradient at x of what follows, whose gradient at the norm's output is `gradient`. out may be x.
  func gradient(at x: Matrix, of gradient: Matrix, into out: Matrix, accumulate: Bool, on processor: Processor) {
    let columns = x.columns
    processor.pool.run(tasks: x.rows) { row in
      x[row].withSpan { x in
        gradient[row].withSpan { gradient in
          weight.withSpan { weight in
            var squares: Float = 0
            var along: Float = 0
            for c in 0..<columns {
              squares += x[c] * x[c]
              along += x[c] * weight[c] * gradient[c]
            }
            let factor = 1 / (squares / Float(columns) + epsilon).squareRoot()
            let pull = along * factor * factor * factor / Float(columns)
            out[row].withMutableSpan { out in
              for c in 0..<columns {
                let value = factor * weight[c] * gradient[c] - pull * x[c]
                out[c] = accumulate ? out[c] + value : value
              }
            }
          }
        }
      }
    }
  }
}

/// The gradient of one block over one window: from its output to its input, and at the output of each linear layer.
final class BlockGradient {
  private let runner: BlockRunner
  private let input: ProductInput
  private let backRotary: RotaryTable
  private let middle: Matrix  // the residual stream between attention and feed-forward
  private let normGradient: Matrix
  private let wide: [Matrix]  // [tokens, feedForwardWidth]: of activated, gate, up
  private let attendedGradient: Matrix
  private let queryGradient: Matrix
  private let keyGradient: Matrix
  private let valueGradient: Matrix

  init(_ runner: BlockRunner) {
    self.runner = runner
    let configuration = runner.configuration
    let tokens = runner.tokens
    // Rotations are undone by turning back.
    backRotary = RotaryTable(
      inverseFrequencies: configuration.rotary.inverseFrequencies.map { -Float($0) }, positions: tokens,
      attentionFactor: Float(configuration.rotary.attentionFactor))
    middle = Matrix(rows: tokens, columns: configuration.width)
    normGradient = Matrix(rows: tokens, columns: configuration.width)
    wide = (0..<3).map { _ in Matrix(rows: tokens, columns: configuration.feedForwardWidth) }
    attendedGradient = Matrix(rows: tokens, columns: runner.attended.columns)
    queryGradient = Matrix(rows: tokens, columns: runner.query.columns)
    keyGradient = Matrix(rows: tokens, columns: runner.key.columns)
    valueGradient = Matrix(rows: tokens, columns: runner.value.columns)
    input = ProductInput(
      tokens: tokens,
      columns: max(configuration.width, runner.query.columns, runner.attended.columns, configuration.feedForwardWidth))
  }

  /// - Parameters:
  ///   - transposed: the block's matrices the other way round.
  ///   - state: what went into the block.
  ///   - gradient: at the block's output; afterwards at its input.
  ///   - seen: called with the gradient at the output of each linear layer.
  func run(
    _ block: DecoderBlock, _ transposed: [LinearRole: WeightMatrix], input state: Matrix, gradient: Matrix,
    seen: (LinearRole, Matrix) -> Void
  ) {
    let processor = runner.processor
    let configuration = runner.configuration
    let epsilon = Float(configuration.normEpsilon)
    middle.copy(from: state)
    runner.norm(middle, block.attentionNorm)
    runner.attend(block)
    runner.addAttention(block, to: middle)
    runner.norm(middle, block.feedForwardNorm)
    runner.activate(block)

    func back(_ role: LinearRole, _ from: Matrix, into to: Matrix, accumulate: Bool = false) {
      guard let weights = transposed[role] else { preconditionFailure("\(role) was not loaded") }
      input.set(from)
      processor.multiply(input, [Product(weights, into: to, accumulate: accumulate)])
    }
    seen(.down, gradient)
    back(.down, gradient, into: wide[0])
    activationGradient()
    seen(.gate, wide[1])
    seen(.up, wide[2])
    back(.gate, wide[1], into: normGradient)
    back(.up, wide[2], into: normGradient, accumulate: true)
    RootMeanSquare(weight: block.feedForwardNorm, epsilon: epsilon)
      .gradient(at: middle, of: normGradient, into: gradient, accumulate: true, on: processor)

    seen(.output, gradient)
    back(.output, gradient, into: attendedGradient)
    processor.attentionGradient(
      query: runner.query, key: runner.key, value: runner.value, heads: configuration.headCount,
      kvHeads: configuration.keyValueHeadCount, scale: runner.attentionScale,
      slidingWindow: configuration.slidingWindow, outputGradient: attendedGradient,
      into: (queryGradient, keyGradient, valueGradient))
    processor.rotate(
      queryGradient, heads: configuration.headCount, headDim: configuration.keyLength, table: backRotary, position: 0,
      pairing: .halves)
    processor.rotate(
      keyGradient, heads: configuration.keyValueHeadCount, headDim: configuration.keyLength, table: backRotary,
      position: 0, pairing: .halves)
    seen(.query, queryGradient)
    seen(.key, keyGradient)
    seen(.value, valueGradient)
    back(.query, queryGradient, into: normGradient)
    back(.key, keyGradient, into: normGradient, accumulate: true)
    back(.value, valueGradient, into: normGradient, accumulate: true)
    RootMeanSquare(weight: block.attentionNorm, epsilon: epsilon)
      .gradient(at: state, of: normGradient, into: gradient, accumulate: true, on: processor)
  }

  /// From wide[0], the gradient at activation(gate) · up, to wide[1] at gate and wide[2] at up.
  private func activationGradient() {
    let processor = runner.processor
    let (gate, up) = (runner.gate, runner.up)
    let (outer, atGate, atUp) = (wide[0], wide[1], wide[2])
    // The slope of the activation as a difference quotient, which is exact enough for a covariance and fits them all.
    let step: Float = 1 / 64
    processor.pool.run(tasks: gate.rows) { row in
      gate[row].withSpan { gate in
        atGate[row].withMutableSpan { for c in 0..<gate.count { $0[c] = gate[c] + step } }
        atUp[row].withMutableSpan { for c in 0..<gate.count { $0[c] = gate[c] - step } }
      }
    }
    processor.activate(runner.activation, atGate, into: atGate)
    processor.activate(runner.activation, atUp, into: atUp)
    processor.add(atGate, atUp, factor: -1, into: atGate)
    processor.scale(atGate, by: 1 / (2 * step), into: atGate)
    processor.multiply(atGate, by: up, into: atGate)
    processor.multiply(atGate, by: outer, into: atGate)
    processor.activate(runner.activation, gate, into: atUp)
    processor.multiply(atUp, by: outer, into: atUp)
  }
}
