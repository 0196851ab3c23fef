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
    return try weightItems(of: model, vectors: WeightEncoding(.f32)) { tensor in
      let encoding = tensor.encoding
      guard panelFormats.contains(encoding.name) else {
        return buffer(encoding.formula(rows: Formula("rows", tensor.shape.rows), columns: tensor.shape.columns))
      }
      let panel = encoding.formula(rows: Formula("rows of a panel", Self.panelRows), columns: tensor.shape.columns)
      return buffer(Formula("rows", tensor.shape.rows).divided(by: Self.panelRows) * panel.roundedUp(to: 64))
    }
  }

  func buffers() throws(FootprintError) -> [FootprintItem] {
    let program = try FootprintItem(.overhead, "program and threads", Formula("bytes", programBytes))
    let vocabulary = try model.input("vocabulary", "vocab_size")
    let tokenizer = try FootprintItem(.overhead, "tokenizer", vocabulary * Formula("bytes per token", tokenizerBytes))
    return try cacheItems() + computeItems() + [program, tokenizer]
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

  /// Per layer, keys [kvHeads, capacity, keyLength] and values [kvHeads, capacity, valueLength rounded up to 16]; in
  /// full length even where a window would do with less.
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
    for (name, format, length) in [
      ("keys", request.keyFormat, dimensions.keyLength),
      ("values", request.valueFormat, dimensions.valueLength.roundedUp(to: Self.panelRows)),
    ] {
      let groups = layers.sorted { $0.key < $1.key }.map { heads, count in
        let layer =
          Formula("kvHeads", heads) * capacity * length * Formula("\(format.name) bytes", format.bytesPerBlock)
        return Formula("batch", request.batch) * Formula("layers", count) * buffer(layer)
      }
      items.append(try FootprintItem(.kvCache, "\(name) \(format.name)", .sum(groups)))
    }
    return items
  }

  /// The buffers of a session, which every layer uses again. F32.
  private func computeItems() throws(FootprintError) -> [FootprintItem] {
    let dimensions = try Dimensions(model)
    let feedForward = dimensions.experts.map { $0.used * $0.width } ?? dimensions.feedForward ?? 0
    let tokens = Formula("tokens", min(microBatch, request.context))
    let queries = dimensions.heads * dimensions.keyLength
    let attended = dimensions.heads * dimensions.valueLength
    let rows: [(name: String, columns: [Formula])] = [
      ("residual and norm", [dimensions.width, dimensions.width]),
      ("queries and attention", [queries, attended]),
      (
        "keys and values",
        [dimensions.keyValueHeads * dimensions.keyLength, dimensions.keyValueHeads * dimensions.valueLength]
      ),
      ("gate and up", [feedForward, feedForward]),
    ]
    let batch = Formula("batch", request.batch)
    var items: [FootprintItem] = []
    for (name, columns) in rows {
      items.append(try FootprintItem(.compute, name, batch * .sum(columns.map { buffer(4 * tokens * $0) })))
    }
    let widest = Formula.max(dimensions.width, attended, feedForward)
    // The head takes one token at a time; only integer products rearrange that.
    if !model.layerEncodings.union(model.headEncodings).isDisjoint(with: integerFormats) {
      items.append(
        try FootprintItem(
          .compute, "product input, int8", batch * buffer((tokens * widest).divided(by: 32) * Formula("bytes", 48))))
    }
    if !model.layerEncodings.isSubset(of: integerFormats) {
      items.append(try FootprintItem(.compute, "product input, F32", batch * buffer(4 * tokens * widest)))
    }
    // There is room for 32 rows, but memory is taken as it is touched, and generating touches one.
    let logits = Formula("rows", min(Self.logitsRows, microBatch, request.context))
    items.append(try FootprintItem(.compute, "logits", batch * first(4 * dimensions.vocabulary, of: logits)))
    let pairs = Formula("rotary", try model.required("rope.dimension_count")).divided(by: 2)
    items.append(
      try FootprintItem(.compute, "rotary table", batch * 2 * buffer(4 * pairs * Formula("context", request.context))))
    return items
  }
}
