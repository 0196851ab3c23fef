internal import IR

/// What one layer keeps per token of context.
struct AttentionLayer: Hashable, Sendable {
  /// Its place in the model.
  let layer: Int
  /// Elements of K per token: key-value heads × head dimension. 0 in a recurrent layer.
  let keyWidth: Int
  /// 0 where values are read from the compressed keys (multi-head latent attention).
  let valueWidth: Int
  /// Tokens it looks back on, itself included; nil for all.
  let window: Int?
  /// The window is a pattern over layers, not one for all.
  let isPatterned: Bool

  /// Every layer of a model that keeps keys, in order. Per-layer lists and window patterns are those of GGUF's keys.
  /// - Parameter expandsLatent: whether latent attention keeps every head's keys and values, not what they come from.
  static func all(of model: ModelShape, expandsLatent: Bool = false) throws(FootprintError) -> [AttentionLayer] {
    // Encoders look both ways at once and keep nothing.
    guard model.isCausal else { return [] }
    let windowLength = model.hyperparameters.integer("attention.sliding_window") ?? 0
    let pattern = WindowPattern(model.hyperparameters)
    var isLatent = (model.hyperparameters.integer("attention.kv_lora_rank") ?? 0) > 0
    var keyLength = try model.required("attention.key_length")
    var valueLength = model.hyperparameters.integer("attention.value_length") ?? keyLength
    var counts = try headCounts(of: model)
    if isLatent, expandsLatent, let whole = model.hyperparameters.integer("attention.key_length_mla") {
      isLatent = false
      keyLength = whole
      valueLength = model.hyperparameters.integer("attention.value_length_mla") ?? whole
      let heads = try model.required("attention.head_count")
      counts = counts.map { $0 == 0 ? 0 : heads }
    }
    var layers: [AttentionLayer] = []
    for (layer, heads) in counts.enumerated() {
      guard heads > 0 else { continue }
      let isGlobal = windowLength == 0 || pattern.isGlobal(layer)
      guard let keyWidth = width(heads, keyLength), let valueWidth = width(heads, valueLength) else {
        throw .invalidHyperparameter(name: "attention.key_length", found: "\(keyLength) with \(heads) heads")
      }
      layers.append(
        AttentionLayer(
          layer: layer, keyWidth: keyWidth, valueWidth: isLatent ? 0 : valueWidth,
          window: isGlobal ? nil : windowLength,
          isPatterned: pattern.isStated))
    }
    // A decoder that attends to an encoder keeps keys and values of that as well.
    return model.hyperparameters.integer("decoder_block_count") == nil ? layers : layers + layers
  }

  /// Key-value heads, layer by layer; none in recurrent layers.
  static func headCounts(of model: ModelShape) throws(FootprintError) -> [Int] {
    let layerCount = try model.layerCount("decoder_block_count", orElse: "block_count")
    let name = "attention.head_count_kv"
    guard case .integers(let counts)? = model.hyperparameters[name] else {
      let count = try model.required(name)
      // Of every so many layers, only the last attends (Qwen3-Next).
      let interval = model.hyperparameters.integer("full_attention_interval") ?? 1
      return (0..<layerCount).map { interval > 1 && ($0 + 1) % interval != 0 ? 0 : count }
    }
    guard counts.count >= layerCount else {
      throw .invalidHyperparameter(name: name, found: "\(counts.count) entries for \(layerCount) layers")
    }
    return Array(counts.prefix(layerCount))
  }

  /// Nil for what no model has, so that sums over layers cannot overflow.
  private static func width(_ heads: Int, _ length: Int) -> Int? {
    let (product, overflow) = heads.multipliedReportingOverflow(by: length)
    return overflow || !(0...1 << 32).contains(product) ? nil : product
  }
}

/// Which layers look back all the way although the model has a window.
private struct WindowPattern {
  /// Of every so many layers one is global; 0: the window holds for all.
  private let period: Int
  /// The global one is the first of its period, not the last.
  private let globalFirst: Bool
  /// Those before it are global.
  private let firstLayer: Int
  /// Layer by layer, 1 where the window holds.
  private let list: [Int]?

  init(_ hyperparameters: Hyperparameters) {
    let name = "attention.sliding_window_pattern"
    let period = hyperparameters.integer(name) ?? 0
    // One of one is no pattern.
    self.period = period > 1 ? period : 0
    globalFirst = hyperparameters.bool("attention.sliding_window_global_first") ?? false
    firstLayer = hyperparameters.integer("attention.sliding_window_first_layer") ?? 0
    if case .integers(let list)? = hyperparameters[name] ?? hyperparameters["attention.sliding_window_layers"] {
      self.list = list
    } else {
      list = nil
    }
  }

  var isStated: Bool { list != nil || period > 0 || firstLayer > 0 }

  func isGlobal(_ layer: Int) -> Bool {
    if let list { return !list.indices.contains(layer) || list[layer] == 0 }
    return layer < firstLayer || period > 0 && (globalFirst ? layer % period == 0 : (layer + 1) % period == 0)
  }
}

/// One line for K and one for V: sequences × cells × what the layers keep per cell.
func keyValueItems(
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
