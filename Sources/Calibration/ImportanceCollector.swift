public import Bytes
public import Catalog
public import IR
public import Kernels
import Runtime

/// Runs a model on text and sums the squares of what goes into each linear layer: what llama-imatrix measures, without
/// the logits that it computes beside them.
///
/// Memory: the residual stream of all tokens (4 · width bytes each) and one block's weights.
public struct ImportanceCollector {
  private let model: Model
  private let graph: Graph
  private let processor: Processor

  public init(_ model: Model, graph: Graph, processor: Processor) {
    self.model = model
    self.graph = graph
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
    guard let tokens = windows.first?.count, tokens > 0 else { throw .textTooShort(tokens: 0, window: 0) }
    let squares = ChannelSquares(processor)
    do throws(RuntimeError) {
      let transformer = try LayerwiseTransformer(model, graph: graph, windows: windows, processor: processor)
      let states = TokenStates(windowCount: windows.count, tokens: tokens, width: transformer.width)
      try transformer.embed(from: model) { states[$0] }
      var last: LayerwiseTransformer.Layer?
      for index in 0..<transformer.layerCount {
        let layer = try transformer.layer(index, from: model)
        for window in windows.indices {
          transformer.run(layer, window: window, on: states[window]) {
            squares.add($0, to: $1)
            return true
          }
        }
        last = layer
        progress(index + 1)
      }
      if includesHead, model["output.weight"] != nil, let last {
        for window in windows.indices {
          squares.add(
            transformer.finalState(last, states[window]), to: [TensorPart(tensor: "output.weight")])
        }
      }
    } catch { throw .runtime(error) }
    return try squares.importance(Importance(datasets: [text], chunkCount: windows.count, chunkSize: tokens))
  }
}

/// Σ x² for each channel of each matrix, in the order in which inputs came.
private final class ChannelSquares {
  private let sums: MatrixSums
  private var values: [ByteString: [[Double]]] = [:]
  private var counts: [ByteString: [Int]] = [:]

  init(_ processor: Processor) { sums = MatrixSums(processor) }

  func add(_ input: Matrix, to readers: [TensorPart]) {
    guard let first = readers.first else { return }
    var total: [Double] = []
    sums.add(input, toColumns: &total)
    for reader in readers {
      if values[reader.tensor] == nil {
        values[reader.tensor] = Array(repeating: [Double](repeating: 0, count: total.count), count: first.count)
        counts[reader.tensor] = Array(repeating: 0, count: reader.count)
      }
      counts[reader.tensor]?[reader.index] += input.rows
      for channel in total.indices { values[reader.tensor]?[reader.index][channel] += total[channel] }
    }
  }

  func importance(_ empty: Importance) throws(CalibrationError) -> Importance {
    var result = empty
    for (name, channels) in values {
      let all = channels.joined().map(Float.init)
      guard all.allSatisfy(\.isFinite) else { throw .notFinite(tensor: name) }
      result[name] = .init(sums: all, counts: (counts[name] ?? []).map(Float.init))
    }
    return result
  }
}
