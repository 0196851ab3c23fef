import Catalog
import Kernels

/// The weights of one block. Which norms there are, and where, is what the model has tensors for.
///
/// A class, for a copy would count up dozens of references, once for each layer and token.
final class TransformerBlock: Sendable {
  /// Before attention; absent where attention takes the state as it is.
  let attentionNorm: Norm?
  let attention: SelfAttention
  /// Of attention's output, before it is added.
  let postAttentionNorm: Norm?
  let crossAttentionNorm: Norm?
  let crossAttention: CrossAttention?
  let feedForwardNorm: Norm?
  let feedForward: FeedForward
  let postFeedForwardNorm: Norm?
  /// Of the state after each addition (BERT's placement).
  let attentionOutputNorm: Norm?
  let crossAttentionOutputNorm: Norm?
  let layerOutputNorm: Norm?

  init(_ configuration: TransformerConfiguration, from loader: WeightLoader) throws(RuntimeError) {
    func norm(_ name: String) throws(RuntimeError) -> Norm? {
      try loader.optionalNorm(
        name, width: configuration.width, kind: configuration.graph.normalization, epsilon: configuration.normEpsilon)
    }
    attentionNorm = try norm("attn_norm")
    attention = try SelfAttention(configuration, from: loader)
    postAttentionNorm = try norm("post_attention_norm")
    crossAttentionNorm = try norm("cross_attn_norm")
    crossAttention = try CrossAttention(configuration, from: loader)
    feedForwardNorm = try norm("ffn_norm")
    feedForward = try FeedForward(configuration, from: loader)
    postFeedForwardNorm = try norm("post_ffw_norm")
    attentionOutputNorm = try norm("attn_output_norm")
    crossAttentionOutputNorm = try norm("cross_attn_output_norm")
    layerOutputNorm = try norm("layer_output_norm")
  }

  var byteCount: Int {
    let norms = [
      attentionNorm, postAttentionNorm, crossAttentionNorm, feedForwardNorm, postFeedForwardNorm, attentionOutputNorm,
      crossAttentionOutputNorm, layerOutputNorm,
    ]
    return norms.reduce(0) { $0 + ($1?.byteCount ?? 0) } + attention.byteCount + (crossAttention?.byteCount ?? 0)
      + feedForward.byteCount
  }
}
