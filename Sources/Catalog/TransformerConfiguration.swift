public import IR

/// A family's hyperparameters as the numbers that the runtime and the footprint compute with.
public struct TransformerConfiguration: Sendable {
  public enum Activation: String, Sendable, CaseIterable {
    case silu
    case gelu
    case geluTanh = "gelu_pytorch_tanh"
    case relu
  }

  public let graph: Graph
  public let layerCount: Int
  /// Of the residual stream.
  public let width: Int
  public let feedForwardWidth: Int
  public let vocabularySize: Int
  /// The longest the model was trained for.
  public let contextLength: Int
  public let headCount: Int
  public let keyValueHeadCount: Int
  public let keyLength: Int
  public let valueLength: Int
  public let normEpsilon: Double
  /// A token attends to itself and the `slidingWindow - 1` before it; nil for all before it.
  public let slidingWindow: Int?
  public let activation: Activation
  public let rotary: RotaryEmbedding
  public let headIsTied: Bool

  public init(_ hyperparameters: Hyperparameters, graph: Graph) throws(CatalogError) {
    func integer(_ name: String) throws(CatalogError) -> Int {
      guard let value = hyperparameters.integer(name) else { throw .missingHyperparameter(name: name, keys: [name]) }
      return value
    }
    self.graph = graph
    layerCount = try integer("block_count")
    width = try integer("embedding_length")
    feedForwardWidth = try integer("feed_forward_length")
    vocabularySize = try integer("vocab_size")
    contextLength = try integer("context_length")
    headCount = try integer("attention.head_count")
    keyValueHeadCount = try integer("attention.head_count_kv")
    keyLength = try integer("attention.key_length")
    valueLength = try integer("attention.value_length")
    guard headCount % keyValueHeadCount == 0 else {
      throw .invalidHyperparameter(
        name: "attention.head_count_kv", key: "the number of key-value heads",
        found: "\(keyValueHeadCount) for \(headCount) heads")
    }
    normEpsilon = hyperparameters.number("attention.layer_norm_rms_epsilon") ?? 1e-6
    let window = hyperparameters.integer("attention.sliding_window") ?? 0
    slidingWindow = window > 0 ? window : nil
    let name = hyperparameters.string("feed_forward.activation") ?? "silu"
    guard let activation = Activation(rawValue: name) else {
      throw .invalidHyperparameter(name: "feed_forward.activation", key: "hidden_act", found: "'\(name)'")
    }
    self.activation = activation
    rotary = try RotaryEmbedding(hyperparameters)
    guard rotary.dimensionCount <= keyLength else {
      throw .invalidHyperparameter(
        name: "rope.dimension_count", key: "rope.dimension_count",
        found: "\(rotary.dimensionCount) in heads of \(keyLength)")
    }
    headIsTied = hyperparameters.bool("output.tied") ?? false
  }
}
