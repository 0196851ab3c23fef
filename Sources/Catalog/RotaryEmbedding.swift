import Glibc
public import IR

/// Rotary positions: how fast each pair of a head's elements turns, and by what scaling for long contexts.
///
/// Su et al. 2021; "llama3" as in Llama 3.1's release, "yarn" as in Peng et al. 2023 with transformers' defaults.
public struct RotaryEmbedding: Hashable, Sendable {
  public enum Scaling: Hashable, Sendable {
    case none
    case linear(factor: Double)
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    case yarn(factor: Double, originalContext: Int, betaFast: Double, betaSlow: Double, attentionFactor: Double?)
    /// Explicit divisors, one per pair, as GGUF's `rope_freqs.weight` stores them.
    case factors([Double])
  }

  /// Leading elements of a head that turn; even.
  public let dimensionCount: Int
  public let base: Double
  public let scaling: Scaling

  /// Reads `rope.*`; nil with the name of the value that is impossible.
  public init(_ hyperparameters: Hyperparameters) throws(CatalogError) {
    func number(_ name: String) -> Double { hyperparameters.number("rope.\(name)") ?? 0 }
    func require(_ good: Bool, _ name: String) throws(CatalogError) {
      guard good else {
        throw .invalidHyperparameter(name: "rope.\(name)", key: "rope.\(name)", found: "\(number(name))")
      }
    }
    dimensionCount = hyperparameters.integer("rope.dimension_count") ?? 0
    base = number("freq_base")
    try require(dimensionCount > 0 && dimensionCount % 2 == 0, "dimension_count")
    try require(base > 1 && base.isFinite, "freq_base")
    let factor = number("scaling.factor")
    let stated = hyperparameters.integer("rope.scaling.original_context_length") ?? 0
    let originalContext = stated > 0 ? stated : hyperparameters.integer("context_length") ?? 0
    if case .numbers(let values)? = hyperparameters["rope.frequency_factors"] {
      guard values.count == dimensionCount / 2, values.allSatisfy({ $0.isFinite && $0 > 0 }) else {
        throw .invalidHyperparameter(
          name: "rope.frequency_factors", key: "rope_freqs.weight", found: "\(values.count) values")
      }
      scaling = .factors(values)
      return
    }
    switch hyperparameters.string("rope.scaling.type") ?? "none" {
    case "none": scaling = .none
    case "linear":
      try require(factor > 0 && factor.isFinite, "scaling.factor")
      scaling = .linear(factor: factor)
    case "llama3":
      let low = number("scaling.low_freq_factor")
      let high = number("scaling.high_freq_factor")
      try require(factor > 0 && factor.isFinite, "scaling.factor")
      try require(low > 0, "scaling.low_freq_factor")
      try require(high > low, "scaling.high_freq_factor")
      try require(originalContext > 0, "scaling.original_context_length")
      scaling = .llama3(
        factor: factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext: originalContext)
    case "yarn":
      try require(factor > 0 && factor.isFinite, "scaling.factor")
      try require(originalContext > 0, "scaling.original_context_length")
      let fast = number("scaling.yarn_beta_fast")
      let slow = number("scaling.yarn_beta_slow")
      let attention = number("scaling.attention_factor")
      scaling = .yarn(
        factor: factor, originalContext: originalContext, betaFast: fast > 0 ? fast : 32, betaSlow: slow > 0 ? slow : 1,
        attentionFactor: attention > 0 ? attention : nil)
    case let other:
      throw .invalidHyperparameter(name: "rope.scaling.type", key: "rope scaling type", found: "'\(other)'")
    }
  }

  /// Radians per position, one per pair.
  public var inverseFrequencies: [Double] {
    zip(plainFrequencies, frequencyFactors).map { $0 / $1 }
  }

  /// What each plain frequency is divided by.
  public var frequencyFactors: [Double] {
    switch scaling {
    case .none: return plainFrequencies.map { _ in 1 }
    case .linear(let factor): return plainFrequencies.map { _ in factor }
    case .factors(let values): return values
    case .llama3(let factor, let low, let high, let context):
      return plainFrequencies.map { frequency in
        let turns = Double(context) * frequency / (2 * .pi)
        if turns < low { return factor }
        if turns > high { return 1 }
        let smooth = (turns - low) / (high - low)
        return 1 / ((1 - smooth) / factor + smooth)
      }
    case .yarn(let factor, let context, let betaFast, let betaSlow, _):
      // The pair that makes `turns` turns over the original context.
      let pair = { (turns: Double) in
        Double(dimensionCount) * log(Double(context) / (turns * 2 * .pi)) / (2 * log(base))
      }
      let low = max(pair(betaFast).rounded(.down), 0)
      var high = min(pair(betaSlow).rounded(.up), Double(dimensionCount - 1))
      if high == low { high += 0.001 }
      return plainFrequencies.indices.map { index in
        let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
        return 1 / (ramp / factor + (1 - ramp))
      }
    }
  }

  /// What the rotated values are multiplied by.
  public var attentionFactor: Double {
    guard case .yarn(let factor, _, _, _, let stated) = scaling else { return 1 }
    return stated ?? (factor > 1 ? 0.1 * log(factor) + 1 : 1)
  }

  private var plainFrequencies: [Double] {
    (0..<dimensionCount / 2).map { pow(base, -Double(2 * $0) / Double(dimensionCount)) }
  }
}
