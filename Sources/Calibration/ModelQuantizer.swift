public import Bytes
public import Catalog
public import IR
public import Kernels
public import Passes

/// Quantizes a model on calibration text, tensors of one block after the other.
public protocol ModelQuantizer {
  /// Names of the tensors that `run` will encode; all others are for the plain encoders.
  var encodedNames: Set<ByteString> { get }

  /// Encodes everything in `encodedNames`; `finished` takes each group of tensors as it is done. `progress` counts
  /// blocks.
  func run(
    finished: ([EncodedTensor]) throws(FileError) -> Void, progress: (Int) -> Void
  ) throws(CalibrationError)
}

extension ModelQuantizer {
  public func run(finished: ([EncodedTensor]) throws(FileError) -> Void) throws(CalibrationError) {
    try run(finished: finished, progress: { _ in })
  }
}

extension FisherEstimator {
  /// Whether the gradient of the model can be computed here: of blocks like Llama's.
  public static func supports(_ model: Model, graph: Graph) -> Bool {
    (try? TransformerConfiguration(calibrating: model.hyperparameters, graph: graph)) != nil
      && model.tensors.allSatisfy { DecoderBlock.knows($0.name) }
  }
}

/// The quantizer for a model's graph: the one that knows Llama's blocks where it can, else the one for any graph.
public func makeModelQuantizer(
  _ model: Model, graph: Graph, plan: QuantizationPlan, windows: [[Int]], fisher: Fisher?, settings: FeedbackSettings,
  processor: Processor
) throws(CalibrationError) -> any ModelQuantizer {
  if FisherEstimator.supports(model, graph: graph) {
    return try LayerwiseQuantizer(
      model, graph: graph, plan: plan, windows: windows, fisher: fisher, settings: settings, processor: processor)
  }
  return try GraphQuantizer(
    model, graph: graph, plan: plan, windows: windows, settings: settings, processor: processor)
}
