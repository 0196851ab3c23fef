import IR
import Kernels

/// What Transformer-XL's relative attention has besides queries, keys and values (Dai et al. 2019, as XLNet has it).
struct RelativeProjection: Sendable {
  /// Of the sines and cosines of a distance. [heads · length, width]
  let distance: Linear
  /// Added to the queries that meet keys, distances and segments. [heads · length]
  let contentBias: Floats
  let distanceBias: Floats
  let segmentBias: Floats?
  /// For tokens of the same and of another segment. [2, heads · length]
  let segments: Matrix?

  init(_ heads: AttentionHeads, width: Int, from loader: WeightLoader) throws(RuntimeError) {
    distance = try loader.linear("attn_rel", rows: heads.queryWidth, columns: width)
    contentBias = try loader.vector("attn_rel_w_bias", count: heads.queryWidth)
    distanceBias = try loader.vector("attn_rel_r_bias", count: heads.queryWidth)
    segmentBias = try loader.optionalVector("attn_rel_s_bias", count: heads.queryWidth)
    segments = try loader.optionalVector("attn_seg_embd", count: 2 * heads.queryWidth).map {
      Matrix($0, rows: 2, columns: heads.queryWidth)
    }
  }

  var byteCount: Int {
    distance.byteCount + (contentBias.count + distanceBias.count + (segmentBias?.count ?? 0)) * 4
      + (segments.map { $0.rows * $0.columns * 4 } ?? 0)
  }
}
