import Glibc
public import IR

extension RotaryEmbedding.Scaling {
  /// Reads `rope.scaling.*` and `rope.frequency_factors`; a kind that is not known is refused by name.
  init(_ hyperparameters: Hyperparameters, pairs: Int) throws(CatalogError) {
    let reader = ScalingReader(hyperparameters: hyperparameters, pairs: pairs)
    if let factors = try reader.factors("rope.frequency_factors") {
      self = .factors(factors)
      return
    }
    switch hyperparameters.string("rope.scaling.type") ?? "none" {
    case "none": self = .none
    case "linear": self = .linear(factor: try reader.factor())
    case "dynamic": self = .dynamic(factor: try reader.factor(), context: try reader.context())
    case "dynamic_powers": self = .dynamicByPowers(context: try reader.originalContext())
    case "llama3": self = try reader.llama3()
    case "yarn": self = try reader.yarn()
    case "longrope", "su": self = try reader.longRope()
    case let other:
      throw .invalidHyperparameter(name: "rope.scaling.type", key: "rope scaling type", found: "'\(other)'")
    }
  }
}

private struct ScalingReader {
  let hyperparameters: Hyperparameters
  let pairs: Int

  func number(_ name: String) -> Double { hyperparameters.number("rope.scaling.\(name)") ?? 0 }

  func require(_ good: Bool, _ name: String) throws(CatalogError) {
    guard good else {
      throw .invalidHyperparameter(
        name: "rope.scaling.\(name)", key: "rope.scaling.\(name)", found: "\(number(name))")
    }
  }

  func factor() throws(CatalogError) -> Double {
    let factor = number("factor")
    try require(factor > 0 && factor.isFinite, "factor")
    return factor
  }

  /// That of the model, whatever it was stretched from.
  func context() throws(CatalogError) -> Int {
    let context = hyperparameters.integer("context_length") ?? 0
    guard context > 0 else { return try originalContext() }
    return context
  }

  func originalContext() throws(CatalogError) -> Int {
    let stated = hyperparameters.integer("rope.scaling.original_context_length") ?? 0
    let context = stated > 0 ? stated : hyperparameters.integer("context_length") ?? 0
    try require(context > 0, "original_context_length")
    return context
  }

  /// Nil when there are none.
  func factors(_ name: String) throws(CatalogError) -> [Double]? {
    guard let values = HyperparameterLookup(values: hyperparameters).numbers(name), !values.isEmpty else { return nil }
    guard values.count == pairs, values.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw .invalidHyperparameter(
        name: name, key: name == "rope.frequency_factors" ? "rope_freqs.weight" : name, found: "\(values.count) values")
    }
    return values
  }

  func llama3() throws(CatalogError) -> RotaryEmbedding.Scaling {
    let factor = try factor()
    let low = number("low_freq_factor")
    let high = number("high_freq_factor")
    try require(low > 0, "low_freq_factor")
    try require(high > low, "high_freq_factor")
    return .llama3(
      factor: factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext: try originalContext())
  }

  func yarn() throws(CatalogError) -> RotaryEmbedding.Scaling {
    let factor = try factor()
    let context = try originalContext()
    let fast = number("yarn_beta_fast")
    let slow = number("yarn_beta_slow")
    let stated = number("attention_factor")
    var attention = stated > 0 ? stated : nil
    if attention == nil, number("mscale_all_dim") != 0 {
      // DeepSeek's: the rest of it is in the scale of the scores.
      let scale = number("mscale")
      if scale != 0 { attention = Self.magnitude(factor, scale) / Self.magnitude(factor, number("mscale_all_dim")) }
    } else if attention == nil, number("yarn_log_multiplier") != 0 {
      // What GGUF keeps of it: both of DeepSeek's numbers are the same, and cancel each other.
      attention = 1
    }
    return .yarn(
      factor: factor, originalContext: context, betaFast: fast > 0 ? fast : 32, betaSlow: slow > 0 ? slow : 1,
      attentionFactor: attention, truncates: hyperparameters.bool("rope.scaling.yarn_truncates") ?? true)
  }

  static func magnitude(_ factor: Double, _ scale: Double) -> Double {
    factor > 1 ? 0.1 * scale * log(factor) + 1 : 1
  }

  func longRope() throws(CatalogError) -> RotaryEmbedding.Scaling {
    let context = try originalContext()
    guard let short = try factors("rope.scaling.short_factors"), let long = try factors("rope.scaling.long_factors")
    else {
      throw .missingHyperparameter(
        name: "rope.scaling.long_factors", keys: ["rope.scaling.short_factors", "rope.scaling.long_factors"])
    }
    let stated = number("attention_factor")
    let trained = hyperparameters.integer("context_length") ?? context
    // Phi-3 says it by its two lengths.
    let stretched = number("factor") > 1 ? number("factor") : Double(trained) / Double(context)
    let computed = stretched > 1 ? (1 + log(stretched) / log(Double(context))).squareRoot() : 1
    return .longRope(
      short: short, long: long, originalContext: context, attentionFactor: stated > 0 ? stated : computed)
  }
}

extension RotaryEmbedding {
  /// What YaRN with `mscale_all_dim` multiplies the scores by (DeepSeek); 1 elsewhere.
  public static func scoreFactor(_ hyperparameters: Hyperparameters) -> Double {
    guard hyperparameters.string("rope.scaling.type") == "yarn",
      let factor = hyperparameters.number("rope.scaling.factor"), scaleOfAll(hyperparameters) != 0
    else { return 1 }
    let magnitude = ScalingReader.magnitude(factor, scaleOfAll(hyperparameters))
    return magnitude * magnitude
  }

  /// DeepSeek's `mscale_all_dim`, of which GGUF stores a tenth.
  fileprivate static func scaleOfAll(_ hyperparameters: Hyperparameters) -> Double {
    let stated = hyperparameters.number("rope.scaling.mscale_all_dim") ?? 0
    return stated != 0 ? stated : (hyperparameters.number("rope.scaling.yarn_log_multiplier") ?? 0) * 10
  }
}
