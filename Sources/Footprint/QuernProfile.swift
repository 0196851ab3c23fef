internal import IR

/// What our own runtime allocates (Sources/Runtime). Keep the two in step: this file is the only place that knows.
struct QuernProfile {
  let model: ModelShape
  let request: FootprintRequest

  /// Weights are repacked at load into panels of 16 rows.
  static let panelRows = 16
  /// The KV cache's capacity is a multiple of this.
  static let capacityMultiple = 16
  /// Tokens of a prompt that go through the layers together.
  static let promptTokens = 512

  func items() throws(FootprintError) -> [FootprintItem] {
    try weightItems(of: model, rowMultiple: Self.panelRows, vectorFormat: .f32) + cacheItems() + computeItems()
  }

  /// Per layer, K and V: [kvHeads, capacity, headDim], in full length even where a window would do with less.
  private func cacheItems() throws(FootprintError) -> [FootprintItem] {
    let layers = try AttentionLayer.all(of: model)
    let capacity = Formula("context", request.context).roundedUp(to: Self.capacityMultiple)
    var items: [FootprintItem] = []
    for (name, format, width) in [
      ("keys", request.keyFormat, \AttentionLayer.keyWidth), ("values", request.valueFormat, \AttentionLayer.valueWidth),
    ] {
      let blocks = layers.reduce(0) { $0 + ($1[keyPath: width] + format.elementsPerBlock - 1) / format.elementsPerBlock }
      let perToken = Formula("blocks of \(layers.count) layers", blocks) * Formula("\(format.name) bytes", format.bytesPerBlock)
      items.append(
        try FootprintItem(.kvCache, "\(name) \(format.name)", Formula("batch", request.batch) * capacity * perToken))
    }
    return items
  }

  /// F32 activations of one prompt chunk, reused by every layer, and one row of logits per sequence.
  private func computeItems() throws(FootprintError) -> [FootprintItem] {
    let width = Formula("width", try model.required("embedding_length"))
    let feedForward = Formula("feedForward", try model.required("feed_forward_length"))
    let heads = Formula("heads", try model.required("attention.head_count"))
    let headDimension = Formula("headDim", try model.required("attention.key_length"))
    let widest = try AttentionLayer.all(of: model).map { $0.keyWidth + $0.valueWidth }.max() ?? 0
    let tokens = Formula("tokens", min(Self.promptTokens, request.context * request.batch))
    return [
      try FootprintItem(
        .compute, "activations",
        tokens * (2 * width + 2 * heads * headDimension + Formula("K and V", widest) + 2 * feedForward) * 4),
      try FootprintItem(
        .compute, "logits", Formula("batch", request.batch) * Formula("vocabulary", try model.required("vocab_size")) * 4),
    ]
  }
}
