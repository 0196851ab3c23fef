public import Bytes
public import Catalog
import Codecs
public import IR
public import Kernels
public import Passes
import Runtime

/// Quantizes any model that Runtime computes, with error feedback, layer by layer: mixtures of experts, latent attention,
/// norms wherever they are.
///
/// Inputs of a layer's matrices are seen as Runtime multiplies them, so nothing here knows what a block computes. Where
/// targets are sequential, the text passes a layer once for each input that some of its matrices share. An expert sees the tokens that are routed to it, which are others in the quantized model: it has no such targets.
///
/// Memory: the residual stream of every calibration token (twice where targets are sequential), one block's weights
/// twice, and at most `sumsByteCount` for sums over inputs (or what one input needs); what does not fit there waits for
/// another pass over the text.
public final class GraphQuantizer: ModelQuantizer {

  let model: Model
  let processor: Processor
  let settings: FeedbackSettings
  let encoder: LayerEncoder
  let reader: WeightReader
  let transformer: LayerwiseTransformer
  private let sumsByteCount: Int
  private let formats: [ByteString: BlockFormat]
  private let grids: [ByteString: GroupGrid]
  public let encodedNames: Set<ByteString>
  private let headName: ByteString = "output.weight"

  /// - Parameter windows: tokens, cut into sequences of equal length.
  public init(
    _ model: Model, graph: Graph, plan: QuantizationPlan, windows: [[Int]], settings: FeedbackSettings,
    processor: Processor, sumsByteCount: Int = 512 << 20
  ) throws(CalibrationError) {
    guard let first = windows.first, windows.allSatisfy({ $0.count == first.count }), !first.isEmpty else {
      throw .textTooShort(tokens: 0, window: 0)
    }
    transformer = try CalibrationError.wrapping { () throws(RuntimeError) in
      try LayerwiseTransformer(model, graph: graph, windows: windows, processor: processor)
    }
    if transformer.sharesLayers { throw .sharedLayers }
    self.model = model
    self.processor = processor
    self.settings = settings
    self.sumsByteCount = sumsByteCount
    encoder = LayerEncoder(settings: settings, processor: processor)
    reader = WeightReader(model: model, processor: processor)
    formats = Dictionary(plan.steps.map { ($0.name, $0.to) }, uniquingKeysWith: { first, _ in first })
    var grids: [ByteString: GroupGrid] = [:]
    var names: Set<ByteString> = []
    for step in plan.steps where step.method != .search && step.shape.dimensions.count > 1 {
      let isHead = step.name == headName && graph.kind == .decoder
      guard isHead || step.name.hasPrefix("blk."), let tensor = model[step.name] else { continue }
      if step.isPacked {
        guard tensor.shape.dimensions.count == 2, let grid = plan.grid(of: step) else { continue }
        grids[step.name] = grid
        names.insert(step.name)
      } else if step.to != tensor.format, let codec = Codec.for(step.to, kernels: processor.kernels),
        codec.canEncodeWithFeedback, step.shape.columns % 32 == 0
      {
        names.insert(step.name)
      }
    }
    self.grids = grids
    encodedNames = names
  }

  public func run(
    finished: ([EncodedTensor]) throws(FileError) -> Void, progress: (Int) -> Void
  ) throws(CalibrationError) {
    let states = try CalibrationStreams(transformer, model, isSequential: settings.isSequential, plain: plainlyEncoded)
    let sums = InputSums.Accumulator(transformer, processor)
    var last: LayerwiseTransformer.Layer?
    for layer in 0..<transformer.layerCount {
      let exact = try load(layer, from: model)
      let encoding = LayerEncoding(self, exact)
      while !encoding.isComplete {
        let rounded = settings.isSequential ? try load(layer, from: encoding.patched) : exact
        let pass = sums.pass(exact, rounded, states, budget: sumsByteCount, wanted: { encoding.wants($0) })
        if pass.inputs.isEmpty { break }
        for inputs in pass.inputs { try encoding.encode(inputs) }
      }
      try deliver(try encoding.finish(), to: finished)
      states.advance(exact, settings.isSequential ? try load(layer, from: encoding.patched) : exact)
      last = exact
      progress(layer + 1)
    }
    if let last, encodedNames.contains(headName) {
      try deliver([try encodeHead(states, last, sums)], to: finished)
    }
  }

  private func load(_ layer: Int, from model: Model) throws(CalibrationError) -> LayerwiseTransformer.Layer {
    try CalibrationError.wrapping { () throws(RuntimeError) in try transformer.layer(layer, from: model) }
  }

  private func deliver(
    _ tensors: [EncodedTensor], to finished: ([EncodedTensor]) throws(FileError) -> Void
  ) throws(CalibrationError) {
    do { try finished(tensors) } catch { throw .file(error) }
  }

  /// The head, as one more layer that reads the final states.
  private func encodeHead(
    _ states: CalibrationStreams, _ last: LayerwiseTransformer.Layer, _ sums: InputSums.Accumulator
  ) throws(CalibrationError) -> EncodedTensor {
    guard let tensor = model[headName], let format = formats[headName] else { throw .missingTensor(headName) }
    let inputs = sums.final(last, states, columns: tensor.shape.columns)
    let hessian = try hessian(inputs, for: headName)
    if let grid = grids[headName] {
      return encoder.encode(
        tensor, on: grid, weights: try reader.matrix(headName), hessian: hessian, correction: inputs.correction)
    }
    return try encoder.encodeSlabs(tensor, as: format, hessian: hessian, correction: inputs.correction, reader)
  }

  func hessian(_ inputs: InputSums, for name: ByteString) throws(CalibrationError) -> InputHessian {
    guard let hessian = InputHessian(gram: inputs.gram, damping: settings.damping, on: processor) else {
      throw .notFinite(tensor: name)
    }
    return hessian
  }

  /// Some rows of a tensor, onto the grid that the plan gives it.
  func encode(
    _ tensor: TensorRef, rows: Range<Int>, hessian: InputHessian, correction: InputCorrection?
  ) throws(CalibrationError) -> EncodedTensor {
    let weights = try reader.matrix(tensor, rows: rows)
    if let grid = grids[tensor.name] {
      return encoder.encode(tensor, on: grid, weights: weights, hessian: hessian, correction: correction)
    }
    guard let format = formats[tensor.name] else { throw .missingTensor(tensor.name) }
    return encoder.encode(
      tensor, as: format, weights: weights, hessian: hessian, correction: correction, decoded: nil)
  }

  /// A tensor as its plain encoder will leave it, where the plan changes it.
  private func plainlyEncoded(_ tensor: TensorRef) -> TensorRef {
    guard let format = formats[tensor.name], format != tensor.format,
      let source = RecodedSource(tensor, as: format, kernels: processor.kernels)
    else { return tensor }
    var recoded = tensor
    recoded.format = format
    recoded.source = source
    return recoded
  }
}
