internal import IR

/// What Hugging Face transformers needs at its peak: either the prompt's activations beside the prompt's cache, or the
/// full cache while generating.
struct TransformersLaw: RuntimeLaw {
  let model: ModelShape
  let request: FootprintRequest
  let profile: RuntimeProfile

  func weights() throws(FootprintError) -> [FootprintItem] { try weightItems(of: model) }

  func buffers() throws(FootprintError) -> [FootprintItem] {
    let layers = try AttentionLayer.all(of: model, expandsLatent: profile.expandsLatentCache)
    let isWindowed = { (layer: AttentionLayer) in
      profile.keepsWindowsOnly && (layer.window.map { $0 < request.context } ?? false)
    }
    let windowed = layers.filter(isWindowed)
    // The token that looks is not kept yet.
    let window = max(1, (windowed.first?.window ?? 1) - 1)
    let whole = try keyValueItems(
      "", layers.filter { !isWindowed($0) }, cells: Formula("context", request.context), request: request)
    let inWindow = try keyValueItems("window ", windowed, cells: Formula("window − 1 =", window), request: request)
    let cache = whole + inWindow
    let prompt = request.promptTokens ?? request.context
    let bytes = { (items: [FootprintItem]) in items.reduce(0) { $0 + $1.bytes } }
    let cacheBytes = bytes(cache)
    // The cache grows while generating: during the prompt, this part of it is not there yet.
    var toCome = bytes(whole) / request.context * (request.context - prompt)
    if !inWindow.isEmpty, window > prompt { toCome += bytes(inWindow) / window * (window - prompt) }
    let notYet = Formula("cache of \(request.context - prompt) tokens to come", toCome)
    let prefill = try prefill(tokens: Formula("batch", request.batch) * Formula("prompt", prompt))
    var items = cache
    if let state = try RecurrentState(of: model) { items += try state.items(request) }
    let activations = try FootprintItem(
      .compute, "activations, while computing \(prefill.name)", .excess(of: prefill.bytes, over: notYet))
    let copy = try FootprintItem(
      .compute, "the cache of the step before, while generating",
      Formula("cache", prompt < request.context ? cacheBytes : 0))
    // The two moments do not coincide.
    items.append(profile.copiesCache && copy.bytes > activations.bytes ? copy : activations)
    let expanded = model.tensors.lazy.filter { $0.packed.map(profile.expands) ?? false }.map(\.shape.elementCount).max()
    if let largest = expanded ?? (profile.expandsQuantizedWeights ? model.largestExpandedMatrix : nil) {
      items.append(
        try FootprintItem(.compute, "one matrix expanded to FP16", 2 * Formula("elements of the largest", largest)))
    }
    return items
  }

  private func prefill(tokens: Formula) throws(FootprintError) -> (name: String, bytes: Formula) {
    let dimensions = try Dimensions(model)
    let feedForward = dimensions.experts.map { $0.used * $0.width } ?? dimensions.feedForward ?? 0
    let layer = 2 * tokens * (3 * feedForward + 4 * dimensions.width)
    var moments: [(name: String, bytes: Formula)] = [("the prompt's feed-forward layers", layer)]
    if let bytes = profile.logitsBytesPerPromptToken {
      moments.append(
        ("the prompt's logits", tokens * (Formula("bytes", bytes) * dimensions.vocabulary + 2 * dimensions.width)))
    }
    if !(request.flashAttention ?? profile.usesFlashAttention) {
      let prompt = Formula("prompt", request.promptTokens ?? request.context)
      moments.append(("the prompt's attention scores (FP16 and FP32)", 6 * tokens * prompt * dimensions.heads))
    }
    var largest = moments[0]
    for moment in moments.dropFirst() {
      guard let value = moment.bytes.value, let best = largest.bytes.value else {
        throw .tooLarge(item: moment.name, formula: "\(moment.bytes)")
      }
      if value > best { largest = moment }
    }
    return largest
  }
}
