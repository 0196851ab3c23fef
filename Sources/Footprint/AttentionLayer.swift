internal import IR

/// What one layer keeps per token of context.
struct AttentionLayer: Hashable, Sendable {
  /// Elements of K per token: key-value heads × head dimension.
  let keyWidth: Int
  let valueWidth: Int
  /// Tokens it looks back on, itself included; nil for all.
  let window: Int?

  /// Every layer of a model, in order. Per-layer lists and window patterns are those of GGUF's keys.
  static func all(of model: ModelShape) throws(FootprintError) -> [AttentionLayer] {
    let layerCount = try model.required("block_count")
    let windowLength = model.hyperparameters.integer("attention.sliding_window") ?? 0
    // Every `pattern`-th layer is global; 0 or absent: the window holds for all layers.
    let pattern = model.hyperparameters.integer("attention.sliding_window_pattern") ?? 0
    let keyLength = try model.required("attention.key_length")
    let valueLength = model.hyperparameters.integer("attention.value_length") ?? keyLength
    var layers: [AttentionLayer] = []
    for layer in 0..<layerCount {
      let heads = try headCount(of: model, layer: layer, layerCount: layerCount)
      let isGlobal = windowLength == 0 || (pattern > 0 && (layer + 1) % pattern == 0)
      guard let keyWidth = width(heads, keyLength), let valueWidth = width(heads, valueLength) else {
        throw .invalidHyperparameter(name: "attention.key_length", found: "\(keyLength) with \(heads) heads")
      }
      layers.append(AttentionLayer(keyWidth: keyWidth, valueWidth: valueWidth, window: isGlobal ? nil : windowLength))
    }
    return layers
  }

  /// Nil for what no model has, so that sums over layers cannot overflow.
  private static func width(_ heads: Int, _ length: Int) -> Int? {
    let (product, overflow) = heads.multipliedReportingOverflow(by: length)
    return overflow || !(0...1 << 32).contains(product) ? nil : product
  }

  private static func headCount(of model: ModelShape, layer: Int, layerCount: Int) throws(FootprintError) -> Int {
    let name = "attention.head_count_kv"
    guard case .integers(let counts)? = model.hyperparameters[name] else { return try model.required(name) }
    guard counts.count == layerCount else {
      throw .invalidHyperparameter(name: name, found: "\(counts.count) entries for \(layerCount) layers")
    }
    return counts[layer]
  }
}
