internal import IR

/// What llama.cpp allocates on one device that holds the whole model, or a part of it (`Offload`).
///
/// Weights are the file's tensors. The KV cache has a cell per token, padded to 256; layers with a sliding window have
/// a cache of their own, as long as the window and one micro-batch. The compute buffer is as large as the graph's
/// widest moment: one of the candidates below. All are checked against llama.cpp's own allocator
/// (Fixtures/footprint/llama-fit-params.json).
struct LlamaCppLaw: RuntimeLaw {
  let model: ModelShape
  let request: FootprintRequest
  let flashAttention: Bool
  /// Rows of logits that there is room for.
  let logitsRows: Formula
  /// Tokens computed at a time: what the micro-batch asks for, unless the cache is shorter.
  let tokens: Formula
  /// Cells of a sequence.
  let cells: Formula
  let windowCells: Formula?
  let layerCount: Int

  static let cellMultiple = 256
  /// `--batch-size`: a micro-batch is never larger.
  static let largestMicroBatch = 2048

  init(model: ModelShape, request: FootprintRequest, profile: RuntimeProfile) throws(FootprintError) {
    layerCount = try model.layerCount()
    try request.offload?.checked(layers: layerCount)
    self.model = model
    self.request = request
    flashAttention = request.flashAttention ?? profile.usesFlashAttention
    guard flashAttention || request.valueFormat.kind != .packed else {
      throw .unsupported(
        what: "a cache with values of \(request.valueFormat.name) without flash attention in llama.cpp",
        known: profile.cacheFormats.filter { $0.kind != .packed }.map(\.name))
    }
    cells = Formula("context", request.context).roundedUp(to: Self.cellMultiple)
    guard let allCells = (cells * Formula("batch", request.batch)).value, let cellCount = cells.value else {
      throw .tooLarge(item: "the KV cache", formula: "\(cells)")
    }
    let micro = min(request.microBatch ?? profile.microBatch ?? 512, Self.largestMicroBatch, allCells)
    tokens = Formula("microBatch", micro)
    logitsRows = profile.makesLogitsPerSequence ? Formula("batch", min(request.batch, micro)) : tokens
    // A window without a pattern (Mistral) is ignored: those models get a full cache.
    let window = try AttentionLayer.all(of: model).first { $0.isPatterned && $0.window != nil }?.window
    windowCells = window.map {
      Formula("min(context, window \($0) + microBatch \(micro))", min(cellCount, $0 + micro)).roundedUp(
        to: Self.cellMultiple)
    }
  }

  func weights() throws(FootprintError) -> [FootprintItem] {
    guard isBesideHost else { return try weightItems(of: model) }
    let hasHead = model.tensors.contains { $0.role == .head }
    return try weightItems(
      of: model.only {
        // The input layer always stays with the processor: only a head that is the same matrix is copied to a device.
        $0.role == .embedding ? !hasHead && hasOutput : isOnDevice($0)
      })
  }

  func hostItems() throws(FootprintError) -> [FootprintItem] {
    guard isBesideHost else { return [] }
    var items = try weightItems(of: model.only { $0.role == .embedding || !isOnDevice($0) }) + fileItems(of: model)
    guard firstLayer > 0 else { return items }
    items += try cacheItems { $0 < firstLayer }
    items.append(try computeItem())
    return items
  }

  private var isBesideHost: Bool { request.offload != nil || request.device.map { !$0.isUnified } ?? false }
  private var firstLayer: Int { request.offload?.firstLayer(of: layerCount) ?? 0 }
  private var hasOutput: Bool { request.offload.map { $0.gpuLayers > 0 } ?? true }

  /// Norms and heads after the last layer are where the head is.
  private func isOnDevice(_ tensor: ModelShape.Tensor) -> Bool {
    guard let layer = tensor.layer else { return hasOutput }
    return layer >= firstLayer && !(tensor.isExperts && layer < (request.offload?.layersWithoutExperts ?? 0))
  }

  func buffers() throws(FootprintError) -> [FootprintItem] {
    var items = try cacheItems { $0 >= firstLayer }
    items.append(try computeItem())
    if request.offload != nil,
      let copied = model.tensors.lazy.filter({ $0.role == .layers && !isOnDevice($0) }).compactMap(\.byteCount).max()
    {
      // Prompts are computed on the device even where the weights are not: they are copied there matrix by matrix.
      items.append(
        try FootprintItem(.compute, "copy of a matrix from the host", Formula("bytes of the largest", copied)))
    }
    return isBesideHost ? items : try items + fileItems(of: model)
  }

  /// Caches and states of some layers.
  private func cacheItems(_ isCounted: (Int) -> Bool) throws(FootprintError) -> [FootprintItem] {
    let layers = try AttentionLayer.all(of: model).filter { isCounted($0.layer) }
    let windowed = layers.filter { $0.isPatterned && $0.window != nil }
    let full = layers.filter { !($0.isPatterned && $0.window != nil) }
    var items = try keyValueItems("", full, cells: cells, request: request)
    if let windowCells { items += try keyValueItems("window ", windowed, cells: windowCells, request: request) }
    if let state = try RecurrentState(of: model) { items += try state.items(request, of: isCounted) }
    return items
  }

  /// The moments at which most is alive, F32 unless said: the largest decides.
  private func computeItem() throws(FootprintError) -> FootprintItem {
    let dimensions = try Dimensions(model)
    let row = 4 * tokens
    let mask = maskBytes
    // Alive beside the wide tensors: the embeddings' input, the residual, its norm and the allocator's hole, which a
    // quantized cache (its rotation comes before), one in F32 (its copies do) or a fused projection closes.
    let hasHole = request.keyFormat.kind != .packed && request.keyFormat != .f32 && !model.hasFusedAttention
    let beside = Formula("rows", hasHole ? 4 : 3) * dimensions.width
    var moments: [(name: String, bytes: Formula)] = [
      ("logits", 4 * logitsRows * (dimensions.vocabulary + 2 * dimensions.width))
    ]
    if let feedForward = dimensions.feedForward {
      moments.append(("feed-forward", row * (3 * feedForward + beside) + mask))
    }
    if let experts = dimensions.experts {
      // Gate and up leave a hole of twice an expert's width each; what comes down goes there if it fits and no shared
      // expert was first.
      let inner = experts.used * experts.width
      let down = experts.used * dimensions.width
      let fits = (down.value ?? .max) <= ((2 * inner).value ?? 0)
      // Where it does not fit, the holes of rows stay open as well.
      let rows = fits || experts.hasShared || request.keyFormat == .f32 ? beside : Formula("rows", 5) * dimensions.width
      moments.append(
        ("experts", row * (fits && !experts.hasShared ? 3 * inner + rows : 3 * inner + down + rows) + mask))
    }
    moments.append(try attention(dimensions, row: row, mask: mask))
    var largest = try FootprintItem(.compute, "compute buffer, while computing \(moments[0].name)", moments[0].bytes)
    for moment in moments.dropFirst() {
      let item = try FootprintItem(.compute, "compute buffer, while computing \(moment.name)", moment.bytes)
      if item.bytes > largest.bytes { largest = item }
    }
    return largest
  }

  /// The causal mask, F16 with flash attention, F32 without; a second one for windows.
  private var maskBytes: Formula {
    let element: Formula = flashAttention ? 2 : 4
    let full = element * tokens * cells
    return windowCells.map { full + element * tokens * $0 } ?? full
  }

  private func attention(
    _ dimensions: Dimensions, row: Formula, mask: Formula
  ) throws(FootprintError) -> (name: String, bytes: Formula) {
    let scores = row * cells * dimensions.heads
    if let latent = dimensions.latent {
      // Queries whole, absorbed into the compressed space, rotated, and joined.
      let perHead = latent.keyLength + latent.rank + dimensions.keyLength + latent.rotary
      let queries =
        row * (4 * dimensions.width + dimensions.heads * perHead + 2 * latent.queryRank + 2 * dimensions.keyLength)
      return ("attention", flashAttention ? queries + mask : scores + queries + mask)
    }
    let queries = dimensions.heads * dimensions.keyLength
    if flashAttention {
      // An F32 cache is copied as F16 for the kernel.
      let copies =
        Formula("F16 bytes", 2) * Formula("batch", request.batch) * cells * dimensions.keyValueHeads
        * (dimensions.keyLength + dimensions.valueLength)
      let base = row * (4 * dimensions.width + queries) + mask
      return ("attention", request.keyFormat == .f32 ? copies + base : base)
    }
    let beside = Formula("rows", model.hasFusedAttention ? 2 : 4) * dimensions.width
    let keysAndValues = 2 * dimensions.keyValueHeads * dimensions.keyLength
    return ("attention", scores + mask + row * (beside + queries + keysAndValues))
  }
}
