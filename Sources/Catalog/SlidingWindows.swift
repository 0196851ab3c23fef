import IR

/// Which layers attend to a window of the past only.
public struct SlidingWindows: Hashable, Sendable {
  /// A token attends to itself and the `length - 1` before it.
  public let length: Int
  /// By layer.
  public let isSliding: [Bool]

  /// Nil when no layer slides.
  init?(_ hyperparameters: Hyperparameters, layerCount: Int) throws(CatalogError) {
    let lookup = HyperparameterLookup(values: hyperparameters)
    length = try lookup.count("attention.sliding_window", default: 0)
    guard length > 0 else { return nil }
    if let list = lookup.numbers("attention.sliding_window_layers") {
      guard list.count >= layerCount else {
        throw .invalidHyperparameter(
          name: "attention.sliding_window_layers", key: "attention.sliding_window_layers",
          found: "\(list.count) values for \(layerCount) layers")
      }
      isSliding = list.prefix(layerCount).map { $0 != 0 }
    } else {
      let pattern = try lookup.count("attention.sliding_window_pattern", default: 1)
      let first = hyperparameters.integer("attention.sliding_window_first_layer") ?? 0
      isSliding = (0..<layerCount).map { layer in
        layer >= first && (pattern == 1 || (layer + 1) % pattern != 0)
      }
    }
    if !isSliding.contains(true) { return nil }
  }
}
