/// The dimensions that activations are made of, as inputs of formulas.
struct Dimensions {
  let width: Formula
  let vocabulary: Formula
  /// Of a dense feed-forward layer; nil when every layer has experts.
  let feedForward: Formula?
  let heads: Formula
  let keyValueHeads: Formula
  let keyLength: Formula
  let valueLength: Formula
  let experts: Experts?
  let latent: Latent?

  struct Experts {
    /// Of all, those that a token goes through.
    let used: Formula
    let width: Formula
    /// Some are for every token, besides.
    let hasShared: Bool
  }

  /// Multi-head latent attention (DeepSeek): keys and values are kept compressed.
  struct Latent {
    let rank: Formula
    let queryRank: Formula
    let rotary: Formula
    /// Of a head's key before compression.
    let keyLength: Formula
    /// Of a head's value before compression.
    let valueLength: Formula
  }

  init(_ model: ModelShape) throws(FootprintError) {
    width = try model.input("width", "embedding_length")
    vocabulary = try model.input("vocabulary", "vocab_size")
    heads = try model.input("heads", "attention.head_count")
    keyLength = try model.input("keyLength", "attention.key_length")
    valueLength = Formula(
      "valueLength", try model.required("attention.value_length", orElse: "attention.key_length"))
    keyValueHeads = Formula("kvHeads", try AttentionLayer.headCounts(of: model).max() ?? 0)
    let dense = Formula("feedForward", try model.required("feed_forward_length"))
    if let used = model.hyperparameters.integer("expert_used_count"), used > 0 {
      let width = model.hyperparameters.integer("expert_feed_forward_length")
      experts = Experts(
        used: Formula("experts per token", used),
        width: width.map { Formula("expertWidth", $0) } ?? dense,
        hasShared: (model.hyperparameters.integer("expert_shared_count") ?? 0) > 0)
      let leading = model.hyperparameters.integer("leading_dense_block_count") ?? 0
      feedForward = leading > 0 ? dense : nil
    } else {
      experts = nil
      feedForward = dense
    }
    if let rank = model.hyperparameters.integer("attention.kv_lora_rank"), rank > 0 {
      latent = Latent(
        rank: Formula("kvRank", rank),
        queryRank: Formula("qRank", model.hyperparameters.integer("attention.q_lora_rank") ?? 0),
        rotary: Formula("rotary", model.hyperparameters.integer("rope.dimension_count") ?? 0),
        keyLength: Formula(
          "headKeyLength",
          try model.required("attention.key_length_mla", orElse: "attention.key_length")),
        valueLength: Formula(
          "headValueLength",
          try model.required("attention.value_length_mla", orElse: "attention.value_length")))
    } else {
      latent = nil
    }
  }
}
