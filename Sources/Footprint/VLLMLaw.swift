internal import IR

/// What vLLM needs to run: weights, the peak of its profiling run, and the cache that the request asks for, in blocks.
/// It then takes all of its share of the device for more cache.
struct VLLMLaw: RuntimeLaw {
  let model: ModelShape
  let request: FootprintRequest
  let profile: RuntimeProfile

  static let blockTokens = 16
  /// Sequences that the profiling run samples logits for.
  static let profiledSequences = 256

  func weights() throws(FootprintError) -> [FootprintItem] { try weightItems(of: model) }

  func buffers() throws(FootprintError) -> [FootprintItem] {
    let dimensions = try Dimensions(model)
    let layers = try AttentionLayer.all(of: model)
    // Where every layer has the window, blocks outside it are freed; mixed with full layers, all take whole pages.
    let window = layers.allSatisfy { !$0.isPatterned } ? layers.first?.window : nil
    let tokensKept =
      window.map { Formula("min(context \(request.context), window \($0))", min(request.context, $0)) }
      ?? Formula("context", request.context)
    let cells = tokensKept.roundedUp(to: Self.blockTokens)
    let feedForward = dimensions.experts.map { $0.used * $0.width } ?? dimensions.feedForward ?? 0
    let tokens = Formula("batched tokens", request.microBatch ?? profile.microBatch ?? 8192)
    let states = try RecurrentState(of: model)?.items(request) ?? []
    return try states + keyValueItems("", layers, cells: cells, request: request)
      + [
        FootprintItem(
          .compute, "activations of the profiling run", 2 * tokens * (3 * feedForward + 4 * dimensions.width)),
        FootprintItem(
          .compute, "logits of the profiling run",
          4 * Formula("sequences", Self.profiledSequences) * dimensions.vocabulary),
      ]
  }
}
