import Catalog
import Kernels

/// Blocks that tokens pass one after the other, with what comes before and after them.
struct TransformerStack: Sendable {
  let configuration: TransformerConfiguration
  let embedding: InputEmbedding
  private(set) var blocks: [TransformerBlock]
  /// The block of each layer: some models use one several times.
  private(set) var order: [Int]
  let outputNorm: Norm?
  /// T5's buckets of each layer, [buckets, heads]; of the first where a layer has none of its own.
  let buckets: [Matrix]
  /// Rows that are the last block's queries (PanGu-α). [positions, width]
  let finalQuery: Matrix?
  /// Whether tokens see what follows them.
  let isBidirectional: Bool

  enum Role { case only, encoder, decoder }

  /// `withoutBlocks`: they are brought in one at a time by `holding`.
  init(
    _ role: Role, tokens: WeightMatrix, _ configuration: TransformerConfiguration, from loader: WeightLoader,
    withoutBlocks: Bool = false
  ) throws(RuntimeError) {
    let loader =
      switch role {
      case .only: loader
      case .encoder: loader.scope("enc")
      case .decoder: loader.scope("dec")
      }
    let configuration = role == .decoder ? configuration.ofDecoder : configuration
    self.configuration = configuration
    order = role == .decoder ? Array(0..<configuration.decoderLayerCount) : configuration.layerOrder
    embedding = try InputEmbedding(tokens: tokens, configuration, from: loader)
    var blocks: [TransformerBlock] = []
    var own: [Matrix?] = []
    for index in 0..<(order.max() ?? -1) + 1 {
      let scope = loader.scope("blk.\(index)")
      if !withoutBlocks { blocks.append(try TransformerBlock(configuration, from: scope)) }
      own.append(try scope.optionalTable("attn_rel_b.weight", columns: configuration.headCount))
    }
    self.blocks = blocks
    outputNorm = try loader.optionalNorm(
      "output_norm", width: configuration.width, kind: configuration.graph.normalization,
      epsilon: configuration.normEpsilon)
    if configuration.graph.positions.contains(.buckets) {
      var shared = own.first ?? nil
      if shared == nil { shared = try loader.table("attn_rel_b.weight", columns: configuration.headCount) }
      buckets = order.compactMap { own[$0] ?? shared }
    } else {
      buckets = []
    }
    finalQuery =
      configuration.graph.finalQuery == .pangu
      ? try loader.table("query_embd.weight", columns: configuration.width) : nil
    isBidirectional =
      role == .encoder || (role == .only && configuration.graph.attention == .bidirectional)
  }

  var layerCount: Int { order.count }

  /// This stack with one block, which stands for every layer's.
  func holding(_ block: TransformerBlock) -> TransformerStack {
    var result = self
    result.blocks = [block]
    result.order = order.map { _ in 0 }
    return result
  }

  func block(ofLayer layer: Int) -> TransformerBlock { blocks[order[layer]] }

  /// Without the tokens' table.
  var byteCount: Int {
    blocks.reduce(embedding.byteCount) { $0 + $1.byteCount } + (outputNorm?.byteCount ?? 0)
      + (finalQuery.map { $0.rows * $0.columns * 4 } ?? 0)
  }

  /// What the kernels take at most, found exceeded.
  func checkHeads() throws(RuntimeError) {
    for block in blocks {
      let heads = block.attention.heads
      guard heads.keyLength <= KeyValueCache.largestKeyDim else {
        throw .headTooWide(heads.keyLength, limit: KeyValueCache.largestKeyDim)
      }
      guard heads.valueLength <= KeyValueCache.largestValueDim else {
        throw .headTooWide(heads.valueLength, limit: KeyValueCache.largestValueDim)
      }
    }
  }

  /// Whether something is added to the scores by distance alone.
  var addsDistances: Bool { !buckets.isEmpty || configuration.graph.positions.contains(.alibi) }

  /// What is added to the scores of each layer, for sequences of at most `limit` tokens; empty for nothing.
  func distanceBiases(limit: Int) -> [DistanceBias] {
    guard limit > 0 else { return [] }
    if configuration.graph.positions.contains(.alibi) {
      let bias = DistanceBias(
        alibiHeads: configuration.headCount, largestBias: configuration.largestALiBiBias, limit: limit)
      return Array(repeating: bias, count: layerCount)
    }
    guard let first = buckets.first else { return [] }
    let shared = DistanceBias(buckets: first, configuration, isBidirectional: isBidirectional, limit: limit)
    return buckets.map { table in
      // The same table, the same bias: all layers of T5 share one.
      table.floats.buffer === first.floats.buffer
        ? shared : DistanceBias(buckets: table, configuration, isBidirectional: isBidirectional, limit: limit)
    }
  }
}
