import Bytes
public import Catalog
import Codecs
public import IR
public import Kernels
public import Passes

/// What each matrix would cost in each format: its rounding errors, as error feedback leaves them, weighed by how much
/// the model's output answers to them (Fisher's information, per output).
///
///     loss = ½ Σ_rows E[g²] · δ H δᵀ ÷ tokens
///
/// Errors of different tensors are taken as independent, so losses add up. They rank formats well; what sequential
/// targets win afterwards is not in them. One block's weights and four Gram matrices are in memory at a time.
public struct SensitivityEstimator {
  private let model: Model
  private let graph: Graph
  private let fisher: Fisher
  private let windows: [[Int]]
  /// Of the windows, among those that the gradient saw.
  private let places: [Int]
  private let settings: FeedbackSettings
  private let processor: Processor

  /// The formats that are compared where their blocks fit a row: none is both larger and worse than another as a rule.
  public static let candidates: [BlockFormat] = [
    .q2_0, .q2_K, .q3_K, .iq4_XS, .iq4_NL, .q4_K, .q4_1, .q5_0, .q5_K, .q5_1, .q6_K, .q8_0,
  ]

  /// - Parameters:
  ///   - windows: those that `fisher` was made of.
  ///   - count: how many of them to run, evenly spread.
  public init(
    _ model: Model, graph: Graph, windows: [[Int]], count: Int? = nil, fisher: Fisher, settings: FeedbackSettings,
    processor: Processor
  ) {
    let count = max(1, min(windows.count, count ?? windows.count))
    places = windows.isEmpty ? [] : (0..<count).map { $0 * windows.count / count }
    self.model = model
    self.graph = graph
    self.windows = places.map { windows[$0] }
    self.fisher = fisher
    self.settings = settings
    self.processor = processor
  }

  /// Choices for every matrix of the blocks, the embedding and the head. `progress` counts blocks.
  public func run(progress: (Int) -> Void = { _ in }) throws(CalibrationError) -> [TensorChoices] {
    let configuration: TransformerConfiguration
    do { configuration = try TransformerConfiguration(calibrating: model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    guard let tokens = windows.first?.count else {
      throw .textTooShort(tokens: 0, window: configuration.contextLength)
    }
    let reader = WeightReader(model: model, processor: processor)
    let runner = BlockRunner(configuration, tokens: tokens, processor: processor)
    let states = TokenStates(windowCount: windows.count, tokens: tokens, width: configuration.width)
    try states.fill(windows, from: model, reader)
    let grams = Grams(configuration, tokens: tokens)
    let tokenCount = Double(tokens * windows.count)
    var result = try embeddingChoices(reader)
    for layer in 0..<configuration.layerCount {
      let block = try DecoderBlock(layer: layer, from: reader)
      for role in LinearRole.allCases {
        block.weights[role] = WeightMatrix(try reader.matrix(role.tensorName(layer: layer)))
      }
      let matrices = grams.collect(block, runner, over: states, on: processor) { input, window in
        guard settings.weighsTokens, fisher.windowCount > places[window] else { return nil }
        return fisher.tokenWeights.weights(layer: layer, input, window: places[window])
      }
      for input in BlockInput.allCases {
        guard let gram = matrices[input] else { continue }
        guard let hessian = InputHessian(gram: gram, damping: FeedbackSettings.forecastDamping, on: processor) else {
          throw .notFinite(tensor: input.readers[0].tensorName(layer: layer))
        }
        for role in input.readers {
          let name = role.tensorName(layer: layer)
          guard let tensor = model[name], let weights = fisher.outputWeights[name] else { continue }
          let rows = try reader.matrix(name)
          result.append(choices(tensor, rows, hessian, weights: weights, tokenCount: tokenCount))
        }
      }
      progress(layer + 1)
    }
    return result
  }

  private func choices(
    _ tensor: TensorRef, _ weights: Matrix, _ hessian: InputHessian, weights outputs: [Float], tokenCount: Double
  ) -> TensorChoices {
    TensorChoices(
      name: tensor.name,
      choices: formats(of: tensor).map { codec, byteCount in
        let errors = codec.encode(weights, hessian: hessian, sweeps: 0, on: processor).rowErrors
        let loss = zip(errors, outputs).reduce(0) { $0 + $1.0 * Double($1.1) }
        return .init(format: codec.format, byteCount: byteCount, loss: loss / (2 * tokenCount))
      })
  }

  private func formats(of tensor: TensorRef) -> [(Codec, Int)] {
    Self.candidates.compactMap { format in
      guard let row = format.byteCount(elements: tensor.shape.columns),
        let codec = Codec.for(format, kernels: processor.kernels)
      else { return nil }
      return (codec, row * tensor.shape.rows)
    }
  }

  /// The embedding answers by the gradient at its output, the head by its inputs; a row counts as often as its token
  /// occurs, of which the text gives an estimate.
  private func embeddingChoices(_ reader: WeightReader) throws(CalibrationError) -> [TensorChoices] {
    let isTied = model["output.weight"] == nil
    var result: [TensorChoices] = []
    for (name, needsGradient, needsInputs) in [
      (ByteString("token_embd.weight"), true, isTied), (ByteString("output.weight"), false, true),
    ] {
      guard let tensor = model[name] else { continue }
      let width = tensor.shape.columns
      let gram = Matrix(rows: width, columns: width)
      if needsGradient { processor.add(gram, fisher.embeddingGram, into: gram) }
      if needsInputs { processor.add(gram, fisher.headGram, into: gram) }
      guard let hessian = InputHessian(gram: gram, damping: FeedbackSettings.forecastDamping, on: processor) else {
        throw .notFinite(tensor: name)
      }
      let shares = Self.tokenShares(windows, vocabularySize: tensor.shape.rows)
      var choices: [TensorChoices.Choice] = []
      for (codec, byteCount) in formats(of: tensor) {
        var loss = 0.0
        for first in stride(from: 0, to: tensor.shape.rows, by: 4096) {
          let rows = first..<min(first + 4096, tensor.shape.rows)
          let weights = try reader.matrix(tensor, rows: rows)
          let errors = codec.encode(weights, hessian: hessian, sweeps: 0, on: processor).rowErrors
          for (row, error) in zip(rows, errors) { loss += error * shares[row] / 2 }
        }
        choices.append(.init(format: codec.format, byteCount: byteCount, loss: loss))
      }
      result.append(TensorChoices(name: name, choices: choices))
    }
    return result
  }

  /// How often each token is to be expected; those the text lacks share one occurrence each.
  static func tokenShares(_ windows: [[Int]], vocabularySize: Int) -> [Double] {
    var counts = [Double](repeating: 1, count: vocabularySize)
    for window in windows { for token in window where token < vocabularySize { counts[token] += 1 } }
    let total = counts.reduce(0, +)
    return counts.map { $0 / total }
  }
}
