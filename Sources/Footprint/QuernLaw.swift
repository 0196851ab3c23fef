internal import IR

/// What our own runtime allocates (Sources/Runtime). Keep the two in step: this file is the only place that knows.
struct QuernLaw: RuntimeLaw {
  let model: ModelShape
  let request: FootprintRequest
  let microBatch: Int

  /// Weights are repacked at load into panels of 16 rows.
  static let panelRows = 16
  /// The KV cache's capacity is a multiple of this.
  static let capacityMultiple = 16

  init(model: ModelShape, request: FootprintRequest, profile: RuntimeProfile) {
    self.model = model
    self.request = request
    microBatch = request.microBatch ?? profile.microBatch ?? 512
  }

  func items() throws(FootprintError) -> [FootprintItem] {
    // [kvHeads, capacity, headDim] per layer, in full length even where a window would do with less.
    let capacity = Formula("context", request.context).roundedUp(to: Self.capacityMultiple)
    return try weightItems(of: model, rowMultiple: Self.panelRows, vectors: WeightEncoding(.f32))
      + cacheItems("", AttentionLayer.all(of: model), cells: capacity, request: request)
      + computeItems() + fileItems(of: model)
  }

  /// F32 activations of one prompt chunk, reused by every layer, and one row of logits per sequence.
  private func computeItems() throws(FootprintError) -> [FootprintItem] {
    let dimensions = try Dimensions(model)
    let feedForward = dimensions.experts.map { $0.used * $0.width } ?? dimensions.feedForward ?? 0
    let queries = dimensions.heads * dimensions.keyLength
    let keysAndValues = dimensions.keyValueHeads * (dimensions.keyLength + dimensions.valueLength)
    let tokens = Formula("tokens", min(microBatch, request.context * request.batch))
    return [
      try FootprintItem(
        .compute, "activations", 4 * tokens * (2 * dimensions.width + 2 * queries + keysAndValues + 2 * feedForward)),
      try FootprintItem(.compute, "logits", 4 * Formula("batch", request.batch) * dimensions.vocabulary),
    ]
  }
}
