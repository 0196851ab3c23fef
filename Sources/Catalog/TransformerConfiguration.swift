public import IR

/// A family's hyperparameters as the numbers that the runtime and the footprint compute with.
public struct TransformerConfiguration: Sendable {
  public enum Activation: String, Sendable, CaseIterable {
    case silu
    case gelu
    case geluTanh = "gelu_pytorch_tanh"
    case geluQuick = "gelu_quick"
    case relu
    case tanh
  }

  public let graph: Graph
  /// Blocks that a token passes: of the encoder, where there are two stacks.
  public let layerCount: Int
  /// Of an encoder–decoder's second stack; 0 elsewhere.
  public let decoderLayerCount: Int
  /// Of the residual stream.
  public let width: Int
  /// Of the embeddings before they are projected to `width`.
  public let embeddingWidth: Int
  public let feedForwardWidth: Int
  public let vocabularySize: Int
  /// The longest the model was trained for; 0 where nothing limits it.
  public let contextLength: Int
  public private(set) var headCount: Int
  public private(set) var keyValueHeadCount: Int
  public private(set) var keyLength: Int
  public private(set) var valueLength: Int
  public let normEpsilon: Double
  /// What scores are multiplied by, where it is not 1 / √(elements of a key).
  public let attentionScale: Double?
  /// What scores are multiplied by besides (YaRN as DeepSeek has it).
  public let attentionFactor: Double
  /// Scores become cap · tanh(score / cap).
  public let attentionSoftcap: Double?
  public let logitSoftcap: Double?
  /// The window of every layer, where all have the same one; nil for all tokens before.
  /// A token attends to itself and the `slidingWindow - 1` before it.
  public let slidingWindow: Int?
  public let slidingWindows: SlidingWindows?
  public let activation: Activation
  /// Of the head of masked language models.
  public let maskedHeadActivation: Activation
  /// Of the dense layer before a classification.
  public let classifierActivation: Activation
  /// Turns nothing where the family has no rotary positions.
  public let rotary: RotaryEmbedding
  /// Of the layers that slide; the same where the model makes no difference.
  public let slidingRotary: RotaryEmbedding
  /// Queries at position p ≥ n are multiplied by log(p + 1) / log(n) where this n is set (the first Qwen).
  public let logarithmicAttentionLength: Int?
  public let usesParallelResidual: Bool
  public let embeddingScale: Double
  public let residualScale: Double
  public let logitScale: Double
  public let experts: ExpertConfiguration?
  /// Elements of the latent vector that keys and values are made from; nil without latent attention.
  public let latentLength: Int?
  /// Of the first token, in the table of learned positions.
  public let positionOffset: Int
  public let hasTwoDimensionalPositions: Bool
  /// Where the context of a prefix model ends, and the masks that the answer may stand for.
  public let prefixEndToken: Int?
  public let prefixMaskTokens: [Int]
  public let relativeMaximumDistance: Int
  public let largestALiBiBias: Double
  /// Blocks that are stored: `layerOrder` says which one each layer is.
  public let layerOrder: [Int]
  private let decoderHeadCount: Int
  public let decoderStartToken: Int?
  /// What follows it, whatever the model says (some of BART's).
  public let forcedFirstToken: Int?
  public let headIsTied: Bool

  public init(_ hyperparameters: Hyperparameters, graph: Graph) throws(CatalogError) {
    let lookup = HyperparameterLookup(values: hyperparameters)
    self.graph = graph
    layerCount = try lookup.positive("block_count")
    decoderLayerCount =
      graph.kind == .encoderDecoder ? try lookup.count("decoder_block_count", default: layerCount) : 0
    width = try lookup.positive("embedding_length")
    embeddingWidth = try lookup.count("embedding.factor_length", default: width)
    feedForwardWidth = try lookup.count("feed_forward_length", default: 4 * width)
    vocabularySize = try lookup.positive("vocab_size")
    contextLength = try lookup.count("context_length", default: 0)
    headCount = try lookup.positive("attention.head_count")
    keyValueHeadCount = try lookup.count("attention.head_count_kv", default: headCount)
    keyLength = try lookup.count("attention.key_length", default: width / headCount)
    valueLength = try lookup.count("attention.value_length", default: keyLength)
    guard headCount % keyValueHeadCount == 0 else {
      throw .invalidHyperparameter(
        name: "attention.head_count_kv", key: "the number of key-value heads",
        found: "\(keyValueHeadCount) for \(headCount) heads")
    }
    decoderHeadCount = try lookup.count("decoder.attention.head_count", default: headCount)
    normEpsilon =
      hyperparameters.number("attention.layer_norm_rms_epsilon")
      ?? hyperparameters.number("attention.layer_norm_epsilon") ?? (graph.normalization == .rms ? 1e-6 : 1e-5)
    attentionScale = try lookup.limit("attention.scale")
    attentionFactor = RotaryEmbedding.scoreFactor(hyperparameters)
    attentionSoftcap = try lookup.limit("attn_logit_softcapping")
    logitSoftcap = try lookup.limit("final_logit_softcapping")
    let windows = try SlidingWindows(hyperparameters, layerCount: layerCount)
    slidingWindows = windows
    slidingWindow = windows.flatMap { $0.isSliding.allSatisfy(\.self) ? $0.length : nil }
    activation = try Self.activation("feed_forward.activation", hyperparameters, default: .silu)
    maskedHeadActivation = try Self.activation("mlm.activation", hyperparameters, default: .gelu)
    classifierActivation = try Self.activation("cls.activation", hyperparameters, default: .tanh)
    if graph.positions.contains(.rotary) {
      rotary = try RotaryEmbedding(hyperparameters)
      slidingRotary = try RotaryEmbedding(hyperparameters, ofSlidingLayers: true)
      guard rotary.dimensionCount <= keyLength else {
        throw .invalidHyperparameter(
          name: "rope.dimension_count", key: "rope.dimension_count",
          found: "\(rotary.dimensionCount) in heads of \(keyLength)")
      }
    } else {
      rotary = .none
      slidingRotary = .none
    }
    let logarithmic = try lookup.count("attention.logarithmic_length", default: 0)
    logarithmicAttentionLength = logarithmic > 1 ? logarithmic : nil
    usesParallelResidual = hyperparameters.bool("use_parallel_residual") ?? (graph.residual == .parallel)
    embeddingScale = try lookup.number("embedding_scale", default: 1)
    residualScale = try lookup.number("residual_scale", default: 1)
    logitScale = try lookup.number("logit_scale", default: 1)
    experts = try ExpertConfiguration(hyperparameters)
    let latent = try lookup.count("attention.kv_lora_rank", default: 0)
    latentLength = latent > 0 ? latent : nil
    positionOffset = try lookup.count("position.offset", default: 0)
    hasTwoDimensionalPositions = hyperparameters.bool("position.two_dimensional") ?? false
    prefixEndToken = hyperparameters.integer("position.bos_token_id")
    prefixMaskTokens = ["position.gmask_token_id", "position.mask_token_id"].compactMap { hyperparameters.integer($0) }
    relativeMaximumDistance = try lookup.count("attention.relative_max_distance", default: 128)
    largestALiBiBias = try lookup.number("attention.max_alibi_bias", default: 8)
    layerOrder = try Self.layerOrder(lookup, layerCount: layerCount)
    decoderStartToken = hyperparameters.integer("decoder_start_token_id")
    forcedFirstToken = hyperparameters.integer("forced_bos_token_id")
    headIsTied = hyperparameters.bool("output.tied") ?? false
  }

  /// The same for the second stack of an encoder–decoder, which may be cut into other heads (BART).
  public var ofDecoder: TransformerConfiguration {
    guard decoderHeadCount != headCount else { return self }
    var result = self
    result.keyLength = headCount * keyLength / decoderHeadCount
    result.valueLength = headCount * valueLength / decoderHeadCount
    result.headCount = decoderHeadCount
    result.keyValueHeadCount = decoderHeadCount
    return result
  }

  /// The window of one layer, or nil when it attends to all tokens before.
  public func slidingWindow(ofLayer layer: Int) -> Int? {
    guard let slidingWindows, slidingWindows.isSliding.indices.contains(layer), slidingWindows.isSliding[layer] else {
      return nil
    }
    return slidingWindows.length
  }

  private static func activation(
    _ name: String, _ hyperparameters: Hyperparameters, default fallback: Activation
  ) throws(CatalogError) -> Activation {
    guard let text = hyperparameters.string(name), !text.isEmpty else { return fallback }
    guard let activation = Activation(rawValue: text) else {
      throw .invalidHyperparameter(name: name, key: "hidden_act", found: "'\(text)'")
    }
    return activation
  }

  /// ALBERT's groups: layer i is group i · groups / layers, whose inner blocks follow one another.
  private static func layerOrder(_ lookup: HyperparameterLookup, layerCount: Int) throws(CatalogError) -> [Int] {
    let groups = try lookup.count("block.group_count", default: layerCount)
    let inner = try lookup.count("block.inner_count", default: 1)
    guard groups <= layerCount else {
      throw .invalidHyperparameter(
        name: "block.group_count", key: "block.group_count", found: "\(groups) for \(layerCount) layers")
    }
    return (0..<layerCount).flatMap { layer in
      let group = layer * groups / layerCount
      return (0..<inner).map { group * inner + $0 }
    }
  }
}
