internal import IR

/// What llama.cpp allocates on one device that holds the whole model.
///
/// Weights are the file's tensors. The KV cache has a cell per token, padded to 256; layers with a sliding window have
/// a cache of their own, as long as the window and one micro-batch. The compute buffer is as large as the graph's
/// widest moment: one of the candidates below. All are checked against llama.cpp's own allocator
/// (Fixtures/footprint/llama-fit-params.json).
struct LlamaCppLaw: RuntimeLaw {
  let model: ModelShape
  let request: FootprintRequest
  let flashAttention: Bool
  /// Tokens computed at a time: what the micro-batch asks for, unless the cache is shorter.
  let tokens: Formula
  /// Cells of a sequence.
  let cells: Formula
  let windowCells: Formula?

  static let cellMultiple = 256
  /// `--batch-size`: a micro-batch is never larger.
  static let largestMicroBatch = 2048

  init(model: ModelShape, request: FootprintRequest, profile: RuntimeProfile) throws(FootprintError) {
    self.model = model
    self.request = request
    flashAttention = request.flashAttention ?? profile.usesFlashAttention
    cells = Formula("context", request.context).roundedUp(to: Self.cellMultiple)
    guard let allCells = (cells * Formula("batch", request.batch)).value, let cellCount = cells.value else {
      throw .tooLarge(item: "the KV cache", formula: "\(cells)")
    }
    let micro = min(request.microBatch ?? profile.microBatch ?? 512, Self.largestMicroBatch, allCells)
    tokens = Formula("microBatch", micro)
    // A window without a pattern (Mistral) is ignored: those models get a full cache.
    let window = try AttentionLayer.all(of: model).first { $0.isPatterned && $0.window != nil }?.window
    windowCells = window.map {
      Formula("min(context, window \($0) + microBatch \(micro))", min(cellCount, $0 + micro)).roundedUp(
        to: Self.cellMultiple)
    }
  }

  /// The input layer always stays with the processor: only a head that is the same matrix is copied to a device.
  func weights() throws(FootprintError) -> [FootprintItem] {
    try weightItems(of: isBesideHost ? model.withoutEmbedding : model)
  }

  func hostItems() throws(FootprintError) -> [FootprintItem] {
    guard isBesideHost else { return [] }
    let embedding = model.tensors.filter { $0.role == .embedding }
    return try weightItems(
      of: ModelShape(family: model.family, hyperparameters: model.hyperparameters, tensors: embedding))
  }

  private var isBesideHost: Bool { request.device.map { !$0.isUnified } ?? false }

  func buffers() throws(FootprintError) -> [FootprintItem] {
    let layers = try AttentionLayer.all(of: model)
    let windowed = layers.filter { $0.isPatterned && $0.window != nil }
    let full = layers.filter { !($0.isPatterned && $0.window != nil) }
    var items = try cacheItems("", full, cells: cells, request: request)
    if let windowCells { items += try cacheItems("window ", windowed, cells: windowCells, request: request) }
    if let state = try RecurrentState(of: model) { items += try state.items(request) }
    items.append(try computeItem())
    return try items + fileItems(of: model)
  }

  /// The moments at which most is alive, F32 unless said: the largest decides.
  private func computeItem() throws(FootprintError) -> FootprintItem {
    let dimensions = try Dimensions(model)
    let row = 4 * tokens
    let mask = maskBytes
    // Alive beside the wide tensors: the embeddings' input, the residual, its norm and the allocator's hole, which a
    // quantized cache (its rotation comes before) closes.
    let beside = Formula("rows", request.keyFormat.kind == .packed ? 3 : 4) * dimensions.width
    var moments: [(name: String, bytes: Formula)] = [
      ("logits", row * (dimensions.vocabulary + 2 * dimensions.width))
    ]
    if let feedForward = dimensions.feedForward {
      moments.append(("feed-forward", row * (3 * feedForward + beside) + mask))
    }
    if let experts = dimensions.experts {
      moments.append(("experts", row * (3 * experts.used * experts.width + beside) + mask))
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
