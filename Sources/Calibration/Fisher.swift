public import Bytes
public import Catalog
import Codecs
public import IR
public import Kernels

/// How the model's output distribution answers to small errors, from gradients on text whose next tokens are drawn from
/// the model itself: their covariance is the Hessian of the KL divergence (Fisher's information).
public struct Fisher: Sendable {
  /// E[g gᵀ] for the gradient g at the embedding's output, per token. [width, width], complete where column ≥ row.
  public let embeddingGram: Matrix
  /// E[x xᵀ] of the head's inputs, likewise.
  public let headGram: Matrix
  /// For each matrix, E[g²] of every output: what a squared error there costs, twice over, in nats per token.
  public let outputWeights: [ByteString: [Float]]
  /// How much each token counts.
  public let tokenWeights: TokenWeights
  public let windowCount: Int
  public let tokenCount: Int
}

/// Runs a model forwards and its gradient backwards, block by block, over as many windows at a time as memory allows.
///
/// Memory: the residual stream of every block and token of a batch (4 · width · blocks bytes a token), one block's
/// weights twice, and the head twice.
public struct FisherEstimator {
  private let model: Model
  private let configuration: TransformerConfiguration
  private let processor: Processor
  private let reader: WeightReader

  public init(_ model: Model, graph: Graph, processor: Processor) throws(CalibrationError) {
    do { configuration = try TransformerConfiguration(calibrating: model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    self.model = model
    self.processor = processor
    reader = WeightReader(model: model, processor: processor)
  }

  /// Windows that keep the residual streams within `byteCount`.
  public func affordableWindows(of tokens: Int, within byteCount: Int) -> Int {
    max(1, byteCount / max(1, tokens * (configuration.layerCount + 1) * configuration.width * 4))
  }

  /// What the batches add up to.
  private final class Sums {
    let embeddingGram: Matrix
    let headGram: Matrix
    var outputs: [ByteString: [Double]] = [:]
    var tokens: [[Double]]
    var head: [Double] = []

    init(_ configuration: TransformerConfiguration) {
      embeddingGram = Matrix(rows: configuration.width, columns: configuration.width)
      headGram = Matrix(rows: configuration.width, columns: configuration.width)
      tokens = [[Double]](repeating: [], count: configuration.layerCount * BlockInput.allCases.count)
    }
  }

  /// - Parameters:
  ///   - batch: windows that go through the model together.
  ///   - progress: called with the share that is done.
  public func run(
    _ windows: [[Int]], batch: Int, progress: (Double) -> Void = { _ in }
  ) throws(CalibrationError) -> Fisher {
    let tokens = windows.first?.count ?? 0
    guard tokens > 0 else { throw .textTooShort(tokens: 0, window: configuration.contextLength) }
    let runner = BlockRunner(configuration, tokens: tokens, processor: processor)
    let sums = Sums(configuration)
    for first in stride(from: 0, to: windows.count, by: max(1, batch)) {
      let part = Array(windows[first..<min(first + max(1, batch), windows.count)])
      try add(part, firstWindow: first, runner, to: sums) { share in
        progress((Double(first) + share * Double(part.count)) / Double(windows.count))
      }
    }
    let count = windows.count * tokens
    processor.scale(sums.embeddingGram, by: 1 / Float(count), into: sums.embeddingGram)
    processor.scale(sums.headGram, by: 1 / Float(count), into: sums.headGram)
    return Fisher(
      embeddingGram: sums.embeddingGram, headGram: sums.headGram,
      outputWeights: sums.outputs.mapValues { $0.map { Float($0 / Double(count)) } },
      tokenWeights: TokenWeights(squares: sums.tokens, head: sums.head, tokens: tokens), windowCount: windows.count,
      tokenCount: count)
  }

  private func add(
    _ windows: [[Int]], firstWindow: Int, _ runner: BlockRunner, to sums: Sums, progress: (Double) -> Void
  ) throws(CalibrationError) {
    let tokens = runner.tokens
    let width = configuration.width
    let layers = configuration.layerCount
    // stream[l] goes into block l; the last one comes out of the model.
    let stream = (0...layers).map { _ in TokenStates(windowCount: windows.count, tokens: tokens, width: width) }
    try stream[0].fill(windows, from: model, reader)
    for layer in 0..<layers {
      let block = try load(layer)
      for window in windows.indices {
        stream[layer + 1][window].copy(from: stream[layer][window])
        runner.run(block, on: stream[layer + 1][window])
      }
      progress(0.3 * Double(layer + 1) / Double(layers))
    }
    let grams = GramAccumulator(tokens: tokens, columns: width)
    // From here on the last stream holds the gradient.
    try headGradient(windows, firstWindow: firstWindow, runner, stream[layers], to: sums, grams)
    let backward = BlockGradient(runner)
    let squares = MatrixSums(processor)
    for layer in stride(from: layers - 1, through: 0, by: -1) {
      let block = try load(layer)
      let transposed = try transposedWeights(layer)
      for window in windows.indices {
        var perToken = [[Double]](
          repeating: [Double](repeating: 0, count: tokens), count: BlockInput.allCases.count)
        backward.run(
          block, transposed, input: stream[layer][window], gradient: stream[layers][window]
        ) { role, gradient in
          squares.add(gradient, toColumns: &sums.outputs[role.tensorName(layer: layer), default: []])
          squares.add(gradient, toRows: &perToken[role.input.index])
        }
        for (index, values) in perToken.enumerated() {
          sums.tokens[layer * BlockInput.allCases.count + index] += values
        }
      }
      progress(0.3 + 0.7 * Double(layers - layer) / Double(layers))
    }
    for window in windows.indices {
      grams.addSymmetric(stream[layers][window], into: sums.embeddingGram, on: processor)
    }
  }

  private func load(_ layer: Int) throws(CalibrationError) -> DecoderBlock {
    let block = try DecoderBlock(layer: layer, from: reader)
    for role in LinearRole.allCases {
      block.weights[role] = WeightMatrix(try reader.matrix(role.tensorName(layer: layer)))
    }
    return block
  }

  private func transposedWeights(_ layer: Int) throws(CalibrationError) -> [LinearRole: WeightMatrix] {
    var result: [LinearRole: WeightMatrix] = [:]
    for role in LinearRole.allCases {
      result[role] = WeightMatrix(transposing: try reader.matrix(role.tensorName(layer: layer)))
    }
    return result
  }

  /// Replaces the final states by the gradient of the loss on tokens drawn from the model's own predictions.
  private func headGradient(
    _ windows: [[Int]], firstWindow: Int, _ runner: BlockRunner, _ states: TokenStates, to sums: Sums,
    _ grams: GramAccumulator
  ) throws(CalibrationError) {
    let norm = try reader.vector("output_norm.weight")
    let matrix = try reader.matrix(model["output.weight"] == nil ? "token_embd.weight" : "output.weight")
    let head = WeightMatrix(matrix)
    let transposed = WeightMatrix(transposing: matrix)
    let rows = 32
    let logits = Matrix(rows: rows, columns: matrix.rows)
    let gradient = Matrix(rows: runner.tokens, columns: configuration.width)
    let input = ProductInput(tokens: rows, columns: max(configuration.width, matrix.rows))
    for window in windows.indices {
      runner.norm(states[window], norm)
      grams.addSymmetric(runner.normed, into: sums.headGram, on: processor)
      for first in stride(from: 0, to: runner.tokens, by: rows) {
        let range = first..<min(first + rows, runner.tokens)
        let part = logits.rows(0..<range.count)
        input.set(runner.normed.rows(range))
        processor.multiply(input, [Product(head, into: part)])
        processor.softmax(part, into: part)
        let place = (firstWindow + window) * runner.tokens + first
        let undecided = Floats(count: range.count)
        processor.pool.run(tasks: range.count) { row in
          Self.subtractSample(from: part[row], seed: UInt64(truncatingIfNeeded: place + row), undecided[row..<row + 1])
        }
        sums.head += undecided.array().map { Double($0) }
        input.set(part)
        processor.multiply(input, [Product(transposed, into: gradient.rows(range))])
      }
      RootMeanSquare(weight: norm, epsilon: Float(configuration.normEpsilon))
        .gradient(at: states[window], of: gradient, into: states[window], accumulate: false, on: processor)
    }
  }

  /// probabilities − one-hot of a token drawn from them: the gradient of its loss. `undecided` receives 1 − Σ p².
  private static func subtractSample(from probabilities: Floats, seed: UInt64, _ undecided: Floats) {
    probabilities.withMutableSpan { values in
      var z = (seed &+ 1) &* 0x9E37_79B9_7F4A_7C15
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      var rest = Float((z ^ (z >> 31)) >> 40) * 0x1p-24
      var token = values.count - 1
      var squares: Float = 0
      for index in 0..<values.count { squares += values[index] * values[index] }
      for index in 0..<values.count {
        rest -= values[index]
        if rest < 0 {
          token = index
          break
        }
      }
      values[token] -= 1
      undecided.withMutableSpan { $0[0] = max(0, 1 - squares) }
    }
  }
}
