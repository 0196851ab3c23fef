import Catalog
import Kernels

/// A decoder block's attention to what the encoder made of the source.
struct CrossAttention: Sendable {
  let heads: AttentionHeads
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear

  /// Nil where the block has none.
  init?(_ configuration: TransformerConfiguration, from loader: WeightLoader) throws(RuntimeError) {
    guard loader.has("cross_attn_q.weight") else { return nil }
    heads = AttentionHeads(configuration)
    query = try loader.linear("cross_attn_q", rows: heads.queryWidth, columns: configuration.width)
    key = try loader.linear("cross_attn_k", rows: heads.keyWidth, columns: configuration.width)
    value = try loader.linear("cross_attn_v", rows: heads.valueWidth, columns: configuration.width)
    output = try loader.linear(
      loader.has("cross_attn_output.weight") ? "cross_attn_output" : "cross_attn_o", rows: configuration.width,
      columns: heads.attendedWidth)
  }

  var byteCount: Int { query.byteCount + key.byteCount + value.byteCount + output.byteCount }
}
