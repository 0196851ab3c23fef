public import Bytes
public import Catalog
import Codecs
public import IR
public import Kernels
public import Passes

/// Quantizes a model block by block with error feedback, running it on calibration text as it goes.
///
/// One block's weights are in memory at a time, with the residual stream of every calibration token (twice where the
/// targets are sequential). The results do not depend on threads or instruction set.
public final class LayerwiseQuantizer: ModelQuantizer {
  let model: Model
  let plan: [ByteString: BlockFormat]
  /// The grids of matrices that are packed for GPU libraries.
  let grids: [ByteString: GroupGrid]
  /// Those that the plan wants without feedback.
  let searched: Set<ByteString>
  let windows: [[Int]]
  let settings: FeedbackSettings
  let processor: Processor
  let configuration: TransformerConfiguration
  let reader: WeightReader
  let encoder: LayerEncoder
  let fisher: Fisher?

  /// - Parameters:
  ///   - windows: tokens, cut into sequences of equal length.
  ///   - fisher: how the loss answers to the embedding's output, for its error feedback; nil for none.
  public init(
    _ model: Model, graph: Graph, plan: QuantizationPlan, windows: [[Int]], fisher: Fisher?,
    settings: FeedbackSettings, processor: Processor
  ) throws(CalibrationError) {
    do { configuration = try TransformerConfiguration(calibrating: model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    guard let first = windows.first, windows.allSatisfy({ $0.count == first.count }) else {
      throw .textTooShort(tokens: 0, window: configuration.contextLength)
    }
    self.model = model
    self.plan = Dictionary(plan.steps.map { ($0.name, $0.to) }, uniquingKeysWith: { first, _ in first })
    grids = Dictionary(
      plan.steps.compactMap { step in plan.grid(of: step).map { (step.name, $0) } },
      uniquingKeysWith: { first, _ in first })
    searched = Set(plan.steps.filter { $0.method == .search }.map(\.name))
    self.windows = windows
    self.settings = settings
    self.processor = processor
    self.fisher = fisher
    reader = WeightReader(model: model, processor: processor)
    encoder = LayerEncoder(settings: settings, processor: processor)
  }

  /// How much each token counts, where that is known of all and wanted.
  var tokenWeights: TokenWeights? {
    guard settings.weighsTokens, let fisher, fisher.windowCount == windows.count else { return nil }
    return fisher.tokenWeights
  }

  /// Names of the tensors that `run` will encode; all others are for the plain encoders.
  public var encodedNames: Set<ByteString> {
    var names: Set<ByteString> = []
    for layer in 0..<configuration.layerCount {
      for role in LinearRole.allCases { names.insert(role.tensorName(layer: layer)) }
    }
    names.formUnion(["output.weight", "token_embd.weight"])
    names = names.filter { takesFeedback($0) }
    for layer in 0..<configuration.layerCount {
      for role in LinearRole.allCases where correctsBias(role, layer) { names.insert(role.biasName(layer: layer)) }
      for input in BlockInput.allCases where scalesNorm(of: input, layer: layer) {
        if let name = Self.normName(of: input, layer: layer) { names.insert(name) }
      }
    }
    return names
  }

  /// Biases make up for the mean of what rounding does, where they are written as floats.
  func correctsBias(_ role: LinearRole, _ layer: Int) -> Bool {
    let name = role.biasName(layer: layer)
    return takesFeedback(role.tensorName(layer: layer)) && model[name] != nil && plan[name] == .f32
  }

  func takesFeedback(_ name: ByteString) -> Bool {
    if grids[name] != nil { return !searched.contains(name) && model[name] != nil }
    guard !searched.contains(name), let tensor = model[name], let format = plan[name], format != tensor.format,
      let codec = Codec.for(format, kernels: processor.kernels), codec.canEncodeWithFeedback
    else { return false }
    if name == "token_embd.weight" { return fisher != nil }
    return true
  }

  /// Encodes everything in `encodedNames`; `finished` takes each group of tensors as it is done. `progress` counts
  /// blocks.
  public func run(
    finished: ([EncodedTensor]) throws(FileError) -> Void, progress: (Int) -> Void
  ) throws(CalibrationError) {
    let tokens = windows[0].count
    let runner = BlockRunner(configuration, tokens: tokens, processor: processor)
    let reference = TokenStates(windowCount: windows.count, tokens: tokens, width: configuration.width)
    let quantized =
      settings.isSequential
      ? TokenStates(windowCount: windows.count, tokens: tokens, width: configuration.width) : reference
    try fillPlainly(reference)
    let embedding = try encodeEmbedding()
    if settings.isSequential {
      if let embedding { try fill(quantized, from: embedding) } else { try fillPlainly(quantized, encoded: true) }
    }
    if let embedding { try deliver([embedding], to: finished) }
    let grams = Grams(configuration, tokens: tokens)
    for layer in 0..<configuration.layerCount {
      let encoded =
        settings.isSequential
        ? try sequential(layer, runner, grams, reference, quantized) : try independent(layer, runner, grams, reference)
      try deliver(encoded, to: finished)
      progress(layer + 1)
    }
    if takesFeedback("output.weight") {
      try deliver([try encodeHead(runner, grams, reference, quantized)], to: finished)
    }
  }

  private func deliver(
    _ tensors: [EncodedTensor], to finished: ([EncodedTensor]) throws(FileError) -> Void
  ) throws(CalibrationError) {
    do { try finished(tensors) } catch { throw .file(error) }
  }
}
