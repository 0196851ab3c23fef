import Catalog
import IR
import Kernels

/// The weights of one block's self-attention.
struct SelfAttention: Sendable {
  enum Projection: Sendable {
    case separate(query: Linear, key: Linear, value: Linear)
    /// Rows: all queries, all keys, all values.
    case fused(Linear)
    case latent(LatentProjection)
  }

  let heads: AttentionHeads
  let projection: Projection
  let queryNorm: HeadNorm?
  let keyNorm: HeadNorm?
  /// Transformer-XL's distances, where the family has them.
  let relative: RelativeProjection?
  let output: Linear

  init(_ configuration: TransformerConfiguration, from loader: WeightLoader) throws(RuntimeError) {
    let width = configuration.width
    var heads = AttentionHeads(configuration)
    if loader.has("attn_kv_a_mqa.weight") {
      let latent = try LatentProjection(configuration, from: loader)
      heads = latent.heads
      projection = .latent(latent)
    } else if loader.has("attn_qkv.weight") {
      projection = .fused(
        try loader.linear("attn_qkv", rows: heads.queryWidth + heads.keyWidth + heads.valueWidth, columns: width))
    } else {
      projection = .separate(
        query: try loader.linear("attn_q", rows: heads.queryWidth, columns: width),
        key: try loader.linear("attn_k", rows: heads.keyWidth, columns: width),
        value: try loader.linear("attn_v", rows: heads.valueWidth, columns: width))
    }
    self.heads = heads
    queryNorm = try HeadNorm("attn_q_norm", heads: heads.count, length: heads.keyLength, configuration, from: loader)
    keyNorm = try HeadNorm("attn_k_norm", heads: heads.kvCount, length: heads.keyLength, configuration, from: loader)
    relative =
      configuration.graph.positions.contains(.transformerXL)
      ? try RelativeProjection(heads, width: width, from: loader) : nil
    output = try loader.linear(
      loader.has("attn_output.weight") ? "attn_output" : "attn_o", rows: width, columns: heads.attendedWidth)
  }

  /// Floats for each token between the projections and the attention.
  var projectedWidth: Int {
    switch projection {
    case .separate, .fused: heads.queryWidth + heads.keyWidth + heads.valueWidth
    case .latent(let latent): latent.query.rows + latent.down.rows
    }
  }

  var byteCount: Int {
    let projected =
      switch projection {
      case .separate(let query, let key, let value): query.byteCount + key.byteCount + value.byteCount
      case .fused(let all): all.byteCount
      case .latent(let latent): latent.byteCount
      }
    return projected + output.byteCount + (queryNorm?.norm.byteCount ?? 0) + (keyNorm?.norm.byteCount ?? 0)
      + (relative?.byteCount ?? 0)
  }
}

/// How many heads, and of how many elements.
struct AttentionHeads: Sendable {
  let count: Int
  /// Heads of keys and values, each shared by count / kvCount heads of queries.
  let kvCount: Int
  let keyLength: Int
  let valueLength: Int
  /// Of what goes into the output projection.
  let attendedWidth: Int
  let scale: Float

  init(_ configuration: TransformerConfiguration) {
    count = configuration.headCount
    kvCount = configuration.keyValueHeadCount
    keyLength = configuration.keyLength
    valueLength = configuration.valueLength
    attendedWidth = count * valueLength
    scale = Self.scale(configuration, keyLength: configuration.keyLength)
  }

  /// Latent attention: every head looks at the same latent vectors.
  init(
    latentOf configuration: TransformerConfiguration, keyLength: Int, valueLength: Int, attendedWidth: Int, scale: Float
  ) {
    count = configuration.headCount
    kvCount = 1
    self.keyLength = keyLength
    self.valueLength = valueLength
    self.attendedWidth = attendedWidth
    self.scale = scale
  }

  static func scale(_ configuration: TransformerConfiguration, keyLength: Int) -> Float {
    let factor = Float(configuration.attentionFactor)
    return (configuration.attentionScale.map(Float.init) ?? 1 / Float(keyLength).squareRoot()) * factor
  }

  var queryWidth: Int { count * keyLength }
  var keyWidth: Int { kvCount * keyLength }
  var valueWidth: Int { kvCount * valueLength }
}

/// A norm of queries or keys: over each head, or over the whole projection.
struct HeadNorm: Sendable {
  let norm: Norm
  let parts: Int

  /// Nil where the model has none. The weight's shape tells: [length] for every head, [heads, length] for each its own,
  /// [heads · length] for the projection as one row.
  init?(
    _ name: String, heads: Int, length: Int, _ configuration: TransformerConfiguration, from loader: WeightLoader
  ) throws(RuntimeError) {
    guard let shape = loader.shape(name + ".weight") else { return nil }
    let isWhole = shape.dimensions.count == 1 && shape.elementCount == heads * length && heads > 1
    parts = isWhole ? 1 : heads
    let epsilon = Float(configuration.normEpsilon)
    let count = shape.elementCount == length ? length : heads * length
    norm = Norm(
      kind: configuration.graph.headNormalization, weight: try loader.vector(name + ".weight", count: count),
      bias: try loader.optionalVector(name + ".bias", count: isWhole ? heads * length : length), epsilon: epsilon)
  }
}
