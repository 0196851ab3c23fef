internal import IR

/// What one layer keeps per token of context.
struct AttentionLayer: Hashable, Sendable {
  /// Elements of K per token: key-value heads × head dimension.
  let keyWidth: Int
  /// 0 where values are read from the compressed keys (multi-head latent attention).
  let valueWidth: Int
  /// Tokens it looks back on, itself included; nil for all.
  let window: Int?
  /// The window is a pattern over layers, not one for all.
  let isPatterned: Bool

  /// Every layer of a model, in order. Per-layer lists and window patterns are those of GGUF's keys.
  static func all(of model: ModelShape) throws(FootprintError) -> [AttentionLayer] {
    // Encoders look both ways at once and keep nothing.
    if model.hyperparameters.bool("attention.causal") == false { return [] }
    let windowLength = model.hyperparameters.integer("attention.sliding_window") ?? 0
    // Every `pattern`-th layer is global; 0 or absent: the window holds for all layers.
    let pattern = model.hyperparameters.integer("attention.sliding_window_pattern") ?? 0
    let isLatent = (model.hyperparameters.integer("attention.kv_lora_rank") ?? 0) > 0
    let keyLength = try model.required("attention.key_length")
    let valueLength = model.hyperparameters.integer("attention.value_length") ?? keyLength
    var layers: [AttentionLayer] = []
    for (layer, heads) in try headCounts(of: model).enumerated() {
      let isGlobal = windowLength == 0 || (pattern > 0 && (layer + 1) % pattern == 0)
      guard let keyWidth = width(heads, keyLength), let valueWidth = width(heads, valueLength) else {
        throw .invalidHyperparameter(name: "attention.key_length", found: "\(keyLength) with \(heads) heads")
      }
      layers.append(
        AttentionLayer(
          keyWidth: keyWidth, valueWidth: isLatent ? 0 : valueWidth, window: isGlobal ? nil : windowLength,
          isPatterned: pattern > 0))
    }
    // A decoder that attends to an encoder keeps keys and values of that as well.
    return model.hyperparameters.integer("decoder_block_count") == nil ? layers : layers + layers
  }

  /// Key-value heads, layer by layer.
  static func headCounts(of model: ModelShape) throws(FootprintError) -> [Int] {
    let layerCount = try model.required("decoder_block_count", orElse: "block_count")
    let name = "attention.head_count_kv"
    guard case .integers(let counts)? = model.hyperparameters[name] else {
      return Array(repeating: try model.required(name), count: layerCount)
    }
    guard counts.count == layerCount else {
      throw .invalidHyperparameter(name: name, found: "\(counts.count) entries for \(layerCount) layers")
    }
    return counts
  }

  /// Nil for what no model has, so that sums over layers cannot overflow.
  private static func width(_ heads: Int, _ length: Int) -> Int? {
    let (product, overflow) = heads.multipliedReportingOverflow(by: length)
    return overflow || !(0...1 << 32).contains(product) ? nil : product
  }
}

/// One line for K and one for V: sequences × cells × what the layers keep per cell.
func cacheItems(
  _ name: String, _ layers: [AttentionLayer], cells: Formula, request: FootprintRequest
) throws(FootprintError) -> [FootprintItem] {
  var items: [FootprintItem] = []
  for (part, format, width) in [
    ("keys", request.keyFormat, \AttentionLayer.keyWidth), ("values", request.valueFormat, \AttentionLayer.valueWidth),
  ] {
    let elements = layers.reduce(0) { $0 + $1[keyPath: width] }
    guard elements > 0 else { continue }
    let blocks = layers.reduce(0) { $0 + ($1[keyPath: width] + format.elementsPerBlock - 1) / format.elementsPerBlock }
    let unit = format.elementsPerBlock == 1 ? "elements" : "blocks"
    let perToken =
      Formula("\(unit) in \(layers.count) layers", blocks) * Formula("\(format.name) bytes", format.bytesPerBlock)
    items.append(
      try FootprintItem(.kvCache, "\(name)\(part) \(format.name)", Formula("batch", request.batch) * cells * perToken))
  }
  return items
}
