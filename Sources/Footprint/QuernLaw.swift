internal import IR

/// What our own runtime allocates: Sources/Runtime (Transformer, Session) and Sources/Kernels (Buffer, WeightMatrix,
/// KeyValueCache, ProductInput, RotaryTable). This file is the only place that repeats what they do; the tests hold the
/// two together.
struct QuernLaw: RuntimeLaw {
  let model: ModelShape
  let request: FootprintRequest
  let microBatch: Int
  let programBytes: Int
  let tokenizerBytes: Int

  /// Weights are repacked at load into panels of 16 rows; the cache's capacity is a multiple of 16.
  static let panelRows = 16
  /// Rows of logits that there is room for.
  static let logitsRows = 32
  /// Buffers of this size and more are mapped, on huge pages as far as they fill them; the rest is small pages.
  static let hugePage = 2 << 20
  static let page = 4096
  /// Formats with integer kernels; other packed ones stay rows of blocks, decoded as they are used.
  static let integerFormats = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
  static let floatFormats = ["F32", "F16", "BF16"]

  init(model: ModelShape, request: FootprintRequest, profile: RuntimeProfile) throws(FootprintError) {
    guard request.keyFormat == request.valueFormat else {
      throw .unsupported(
        what: "a cache with keys of \(request.keyFormat.name) and values of \(request.valueFormat.name)",
        known: profile.cacheFormats.map { "both \($0.name)" })
    }
    guard !model.isRecurrent else {
      throw .unsupported(
        what: "a model with recurrent layers in the profile \(profile.name)",
        known: ["llama.cpp", "transformers", "vllm"])
    }
    self.model = model
    self.request = request
    microBatch = request.microBatch ?? profile.microBatch ?? 512
    programBytes = profile.programBytes
    tokenizerBytes = profile.tokenizerBytesPerToken
  }

  /// Formats whose products are of integers. Exact arithmetic, which is what a cache in F32 goes with, has none.
  private var integerFormats: [String] { request.keyFormat == .f32 ? [] : Self.integerFormats }

  func weights() throws(FootprintError) -> [FootprintItem] {
    let panelFormats = integerFormats + Self.floatFormats
    return try weightItems(of: model.withTablesDecoded, vectors: WeightEncoding(.f32)) { tensor in
      let encoding = tensor.encoding
      if tensor.isTable { return buffer(4 * Formula("elements", tensor.shape.elementCount)) }
      guard panelFormats.contains(encoding.name) else {
        return buffer(encoding.formula(rows: Formula("rows", tensor.shape.rows), columns: tensor.shape.columns))
      }
      let panel = encoding.formula(rows: Formula("rows of a panel", Self.panelRows), columns: tensor.shape.columns)
      return buffer(Formula("rows", tensor.shape.rows).divided(by: Self.panelRows) * panel.roundedUp(to: 64))
    }
  }

  func buffers() throws(FootprintError) -> [FootprintItem] {
    try cacheItems() + computeItems() + (isBesideHost ? [] : programItems())
  }

  func hostItems() throws(FootprintError) -> [FootprintItem] { isBesideHost ? try programItems() : [] }

  /// A device with memory of its own, or a budget for the model alone: the program is no part of that.
  private var isBesideHost: Bool { request.device.map { !$0.isUnified } ?? false }

  private func programItems() throws(FootprintError) -> [FootprintItem] {
    let program = try FootprintItem(.overhead, "program and threads", Formula("bytes", programBytes))
    let vocabulary = try model.input("vocabulary", "vocab_size")
    let tokenizer = try FootprintItem(.overhead, "tokenizer", vocabulary * Formula("bytes per token", tokenizerBytes))
    return [program, tokenizer]
  }

  /// As Buffer allocates: from the heap, with a tail of 64 bytes that vector loads may touch, or whole pages.
  private func buffer(_ bytes: Formula) -> Formula {
    (bytes.value ?? 0) >= Self.hugePage ? bytes.roundedUp(to: Self.page) : (bytes + 64).roundedUp(to: 64)
  }

  /// The first of `count` rows of a buffer. Where it is mapped, a huge page or more; from the heap it is there whole.
  private func first(_ row: Formula, of count: Formula) -> Formula {
    let whole = row * count
    return (whole.value ?? 0) >= Self.hugePage ? row.roundedUp(to: Self.hugePage) : buffer(whole)
  }

  /// Per layer, keys [kvHeads, capacity, keyLength] and values [kvHeads, capacity, valueLength rounded up to 16], both
  /// in whole blocks for each position and head; in full length even where a window would do with less.
  private func cacheItems() throws(FootprintError) -> [FootprintItem] {
    let dimensions = try Dimensions(model)
    let capacity = Formula("context", request.context).roundedUp(to: Self.panelRows)
    // Encoders keep nothing; layers may differ in their heads.
    guard try !AttentionLayer.all(of: model).isEmpty else { return [] }
    let isCrossed = model.hyperparameters.integer("decoder_block_count") != nil
    var layers: [Int: Int] = [:]
    for heads in try AttentionLayer.headCounts(of: model) where heads > 0 {
      layers[heads, default: 0] += isCrossed ? 2 : 1
    }
    var items: [FootprintItem] = []
    for (name, format, length, padding) in [
      ("keys", request.keyFormat, dimensions.keyLength, 1),
      ("values", request.valueFormat, dimensions.valueLength, Self.panelRows),
    ] {
      let multiple = max(format.elementsPerBlock, padding)
      let elements = multiple == 1 ? length : length.roundedUp(to: multiple)
      let blocks = format.elementsPerBlock == 1 ? elements : elements.divided(by: format.elementsPerBlock)
      let groups = layers.sorted { $0.key < $1.key }.map { heads, count in
        let layer =
          Formula("kvHeads", heads) * capacity * blocks * Formula("\(format.name) bytes", format.bytesPerBlock)
        return Formula("batch", request.batch) * Formula("layers", count) * buffer(layer)
      }
      items.append(try FootprintItem(.kvCache, "\(name) \(format.name)", .sum(groups)))
    }
    return items
  }

  /// The buffers of a session, which every layer uses again. F32; what no layer needs is not there.
  private func computeItems() throws(FootprintError) -> [FootprintItem] {
    let dimensions = try Dimensions(model)
    // An encoder takes its whole input at once.
    let tokens = Formula("tokens", model.isCausal ? min(microBatch, request.context) : request.context)
    let batch = Formula("batch", request.batch)
    let width = dimensions.width
    let attended = dimensions.heads * (dimensions.latent.map(\.valueLength) ?? dimensions.valueLength)
    var items: [FootprintItem] = []
    for (name, columns) in [
      ("residual and norm", [width, width]), ("queries, keys and values", [projected(dimensions)]),
      ("attention", [attended]), ("feed-forward", [hidden(dimensions)]), ("branches and embeddings", branches(width)),
      ("latent attention", latentColumns(dimensions)),
    ] {
      let needed = columns.filter { $0.value != 0 }
      guard !needed.isEmpty else { continue }
      items.append(try FootprintItem(.compute, name, batch * .sum(needed.map { buffer(4 * tokens * $0) })))
    }
    if let experts = dimensions.experts {
      let rows = Formula.max(tokens, experts.used)
      let router = Formula("experts", model.hyperparameters.integer("expert_count") ?? 0)
      let needed = [4 * tokens * router, 4 * rows * (2 * width), 4 * rows * (2 * experts.width)]
      items.append(try FootprintItem(.compute, "experts", batch * .sum(needed.map(buffer))))
    }
    let inner = Formula.max(dimensions.feedForward ?? 0, dimensions.experts?.width ?? 0)
    let widest = Formula.max(width, attended, inner)
    // The head takes one token at a time; only integer products rearrange that.
    if !model.layerEncodings.union(model.headEncodings).isDisjoint(with: integerFormats) {
      items.append(
        try FootprintItem(
          .compute, "product input, int8", batch * buffer((tokens * widest).divided(by: 32) * Formula("bytes", 48))))
    }
    if !model.layerEncodings.isSubset(of: integerFormats) {
      items.append(try FootprintItem(.compute, "product input, F32", batch * buffer(4 * tokens * widest)))
    }
    guard model.isCausal else { return items }
    // There is room for 32 rows, but memory is taken as it is touched, and generating touches one.
    let logits = Formula("rows", min(Self.logitsRows, microBatch, request.context))
    items.append(try FootprintItem(.compute, "logits", batch * first(4 * dimensions.vocabulary, of: logits)))
    let rotary = model.rows["position_embd"] == nil ? model.hyperparameters.integer("rope.dimension_count") ?? 0 : 0
    if rotary > 0 {
      let pairs = Formula("rotary", rotary).divided(by: 2)
      items.append(
        try FootprintItem(
          .compute, "rotary table", batch * 2 * buffer(4 * pairs * Formula("context", request.context))))
    }
    return items
  }

  /// Rows of the projections before attention, in one buffer.
  private func projected(_ dimensions: Dimensions) -> Formula {
    if dimensions.latent != nil {
      let query = model.rows["attn_q_b"] ?? model.rows["attn_q"] ?? 0
      return Formula("queries", query) + Formula("compressed", model.rows["attn_kv_a_mqa"] ?? 0)
    }
    return dimensions.heads * dimensions.keyLength + dimensions.keyValueHeads * dimensions.keyLength
      + dimensions.keyValueHeads * dimensions.valueLength
  }

  /// Gate and up in one buffer, of a dense layer or a shared expert.
  private func hidden(_ dimensions: Dimensions) -> Formula {
    let rows = { (kind: String) in model.rows[kind] ?? 0 }
    let dense = rows("ffn_gate") + rows("ffn_up")
    let shared = rows("ffn_gate_shexp") + rows("ffn_up_shexp")
    if max(dense, shared) > 0 { return Formula("gate and up", max(dense, shared)) }
    return dimensions.experts == nil ? 2 * (dimensions.feedForward ?? 0) : 0
  }

  /// A branch's output where it is normed again, a second norm where attention and feed-forward are parallel, and
  /// embeddings on their way to being added or projected.
  private func branches(_ width: Formula) -> [Formula] {
    let has = { (kind: String) in model.rows[kind] != nil }
    let embedded = Formula("embedding", model.hyperparameters.integer("embedding.factor_length") ?? 0)
    let isParallel = model.hyperparameters.bool("use_parallel_residual") == true && has("ffn_norm")
    return [
      has("post_attention_norm") || has("post_ffw_norm") ? width : 0, isParallel ? width : 0,
      has("position_embd") || has("token_types") ? (embedded.value == 0 ? width : embedded) : 0,
      has("embd_proj") ? embedded : 0,
    ]
  }

  private func latentColumns(_ dimensions: Dimensions) -> [Formula] {
    guard let latent = dimensions.latent else { return [] }
    return [
      latent.queryRank, dimensions.heads * dimensions.keyLength, dimensions.heads * dimensions.valueLength,
    ]
  }
}
