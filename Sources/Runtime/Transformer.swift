public import Catalog
public import IR
public import Kernels

/// A model's weights, arranged for the kernels, and the graph that its family's descriptor names.
///
/// Shared by any number of sessions; read-only once loaded.
public final class Transformer: Sendable {
  public let configuration: TransformerConfiguration
  public let arithmetic: Arithmetic
  let processor: Processor
  let embedding: WeightMatrix
  let layers: [TransformerLayer]
  let outputNorm: Floats
  /// The embedding itself when the head is tied to it.
  let head: WeightMatrix

  /// Reads every weight. `progress` is called from any thread with the bytes just read.
  public init(
    _ model: Model, graph: Graph, arithmetic: Arithmetic, processor: Processor,
    progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(RuntimeError) {
    do { configuration = try TransformerConfiguration(model.hyperparameters, graph: graph) } catch {
      throw .catalog(error)
    }
    let headWidth = max(configuration.keyLength, configuration.valueLength)
    guard headWidth <= Self.widestHead else { throw .headTooWide(headWidth, limit: Self.widestHead) }
    self.arithmetic = arithmetic
    self.processor = processor
    let loader = WeightLoader(model: model, processor: processor, arithmetic: arithmetic, progress: progress)
    embedding = try loader.matrix("token_embd.weight")
    var layers: [TransformerLayer] = []
    for index in 0..<configuration.layerCount { layers.append(try TransformerLayer(index, from: loader)) }
    self.layers = layers
    outputNorm = try loader.vector("output_norm.weight")
    head = model["output.weight"] == nil ? embedding : try loader.matrix("output.weight")
  }

  /// What the attention kernels take.
  private static let widestHead = 512

  /// Bytes that the weights occupy.
  public var weightByteCount: Int {
    let layerBytes = layers.reduce(0) { $0 + $1.byteCount }
    return layerBytes + embedding.byteCount + (head === embedding ? 0 : head.byteCount) + outputNorm.count * 4
  }
}

/// The weights of one block: pre-normed attention with grouped queries, then a gated feed-forward.
struct TransformerLayer: Sendable {
  let attentionNorm: Floats
  let query: Linear
  let key: Linear
  let value: Linear
  let attentionOutput: Linear
  let feedForwardNorm: Floats
  let gate: Linear
  let up: Linear
  let down: Linear

  init(_ index: Int, from loader: WeightLoader) throws(RuntimeError) {
    let name = { (part: String) in "blk.\(index).\(part)" }
    attentionNorm = try loader.vector(.init(name("attn_norm.weight")))
    query = try Linear(name("attn_q"), from: loader)
    key = try Linear(name("attn_k"), from: loader)
    value = try Linear(name("attn_v"), from: loader)
    attentionOutput = try Linear(name("attn_output"), from: loader)
    feedForwardNorm = try loader.vector(.init(name("ffn_norm.weight")))
    gate = try Linear(name("ffn_gate"), from: loader)
    up = try Linear(name("ffn_up"), from: loader)
    down = try Linear(name("ffn_down"), from: loader)
  }

  var byteCount: Int {
    let linears = [query, key, value, attentionOutput, gate, up, down]
    return linears.reduce(0) { $0 + $1.weights.byteCount + ($1.bias?.count ?? 0) * 4 }
      + (attentionNorm.count + feedForwardNorm.count) * 4
  }
}
