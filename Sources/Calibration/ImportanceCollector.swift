public import Bytes
public import Catalog
public import IR
public import Kernels

/// Runs a model on text and sums the squares of what goes into each linear layer: what llama-imatrix measures, without
/// the logits that it computes beside them.
///
/// Memory: the residual stream of all tokens (4 · width bytes each) and one block's weights.
public struct ImportanceCollector {
  private let model: Model
  private let configuration: TransformerConfiguration
  private let processor: Processor

  public init(_ model: Model, graph: Graph, processor: Processor) throws(CalibrationError) {
    do { configuration = try TransformerConfiguration(calibrating: model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    self.model = model
    self.processor = processor
  }

  /// - Parameters:
  ///   - windows: tokens, cut into sequences of equal length.
  ///   - text: the text's name, for the record.
  ///   - includesHead: llama-imatrix leaves the output head out unless asked.
  ///   - progress: counts blocks.
  public func run(
    _ windows: [[Int]], text: ByteString, includesHead: Bool, progress: (Int) -> Void = { _ in }
  ) throws(CalibrationError) -> Importance {
    guard let tokens = windows.first?.count, tokens > 0 else {
      throw .textTooShort(tokens: 0, window: configuration.contextLength)
    }
    precondition(windows.allSatisfy { $0.count == tokens }, "windows of several lengths")
    let reader = WeightReader(model: model, processor: processor)
    let runner = BlockRunner(configuration, tokens: tokens, processor: processor)
    let states = TokenStates(windowCount: windows.count, tokens: tokens, width: configuration.width)
    try states.fill(windows, from: model, reader)
    let squares = MatrixSums(processor)
    let counts = [Float(windows.count * tokens)]
    var importance = Importance(datasets: [text], chunkCount: windows.count, chunkSize: tokens)
    for layer in 0..<configuration.layerCount {
      let block = try DecoderBlock(layer: layer, from: reader)
      for role in LinearRole.allCases {
        block.weights[role] = WeightMatrix(try reader.matrix(role.tensorName(layer: layer)))
      }
      var sums = [[Double]](repeating: [], count: BlockInput.allCases.count)
      for window in windows.indices {
        runner.run(block, on: states[window]) { input in
          squares.add(runner.matrix(of: input), toColumns: &sums[input.index])
        }
      }
      for role in LinearRole.allCases {
        let name = role.tensorName(layer: layer)
        let values = sums[role.input.index].map(Float.init)
        guard values.allSatisfy(\.isFinite) else { throw .notFinite(tensor: name) }
        importance[name] = .init(sums: values, counts: counts)
      }
      progress(layer + 1)
    }
    if includesHead, model["output.weight"] != nil {
      let norm = try reader.vector("output_norm.weight")
      var sums: [Double] = []
      for window in windows.indices {
        runner.norm(states[window], norm)
        squares.add(runner.normed, toColumns: &sums)
      }
      importance["output.weight"] = .init(sums: sums.map(Float.init), counts: counts)
    }
    return importance
  }
}
