import Bytes
import Catalog
import Kernels

/// Multi-head latent attention (DeepSeek-V2): keys and values of all heads come from one latent vector per token.
///
/// Computed absorbed: a query is carried into the latent space, so that only latent vectors are cached and one
/// key-value head of [latent | rotary] elements serves all heads.
struct LatentProjection: Sendable {
  let heads: AttentionHeads
  /// Queries by way of a vector of their own, where the model has it.
  let queryDown: Linear?
  let queryNorm: Norm?
  /// [heads · (plain + rotary), …]
  let query: Linear
  /// [latent + rotary, width]
  let down: Linear
  let norm: Norm
  /// For each head [latent, plain].
  let keyUp: StackedWeights
  /// For each head [value, latent].
  let valueUp: StackedWeights
  let plainLength: Int
  let rotaryLength: Int

  var latentLength: Int { heads.valueLength }

  init(_ configuration: TransformerConfiguration, from loader: WeightLoader) throws(RuntimeError) {
    let width = configuration.width
    let count = configuration.headCount
    rotaryLength = configuration.rotary.dimensionCount
    keyUp = try loader.stacked("attn_k_b.weight", count: count)
    let latent = keyUp[0].rows
    valueUp = try loader.stacked("attn_v_b.weight", count: count, columns: latent)
    plainLength = keyUp[0].columns
    let keyLength = plainLength + rotaryLength
    heads = AttentionHeads(
      latentOf: configuration, keyLength: latent + rotaryLength, valueLength: latent,
      attendedWidth: count * valueUp[0].rows, scale: AttentionHeads.scale(configuration, keyLength: keyLength))
    queryDown = try loader.optionalLinear("attn_q_a", columns: width)
    if let queryDown {
      guard
        let norm = try loader.optionalNorm(
          "attn_q_a_norm", width: queryDown.rows, kind: .rms, epsilon: configuration.normEpsilon)
      else { throw .missingTensor(ByteString(loader.prefix + "attn_q_a_norm.weight")) }
      queryNorm = norm
      query = try loader.linear("attn_q_b", rows: count * keyLength, columns: queryDown.rows)
    } else {
      queryNorm = nil
      query = try loader.linear("attn_q", rows: count * keyLength, columns: width)
    }
    down = try loader.linear("attn_kv_a_mqa", rows: latent + rotaryLength, columns: width)
    guard
      let norm = try loader.optionalNorm(
        "attn_kv_a_norm", width: latent, kind: .rms, epsilon: configuration.normEpsilon)
    else { throw .missingTensor(ByteString(loader.prefix + "attn_kv_a_norm.weight")) }
    self.norm = norm
  }

  var byteCount: Int {
    (queryDown?.byteCount ?? 0) + (queryNorm?.byteCount ?? 0) + query.byteCount + down.byteCount + norm.byteCount
      + keyUp.byteCount + valueUp.byteCount
  }
}
