import Glibc
public import IR

/// Rotary positions: how fast each pair of a head's elements turns, and by what scaling for long contexts.
///
/// Su et al. 2021; "llama3" as in Llama 3.1's release, "yarn" as in Peng et al. 2023 with transformers' defaults,
/// "longrope" as in Ding et al. 2024, "dynamic" as transformers has it.
public struct RotaryEmbedding: Hashable, Sendable {
  public enum Scaling: Hashable, Sendable {
    case none
    case linear(factor: Double)
    case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalContext: Int)
    /// `truncates`: the ends of the ramp are whole pairs.
    case yarn(
      factor: Double, originalContext: Int, betaFast: Double, betaSlow: Double, attentionFactor: Double?,
      truncates: Bool)
    /// The base grows with the sequence, once that is longer than `context`.
    case dynamic(factor: Double, context: Int)
    /// `dynamic` with powers of two and no factor, as the first Qwen has it.
    case dynamicByPowers(context: Int)
    /// Divisors for sequences of at most `originalContext` tokens, and for longer ones.
    case longRope(short: [Double], long: [Double], originalContext: Int, attentionFactor: Double)
    /// Explicit divisors, one per pair, as GGUF's `rope_freqs.weight` stores them.
    case factors([Double])
  }

  /// Leading elements of a head that turn; even.
  public let dimensionCount: Int
  public let base: Double
  public let scaling: Scaling

  /// Turns nothing: for families with other positions.
  public static let none = RotaryEmbedding(dimensionCount: 0, base: 1, scaling: .none)

  private init(dimensionCount: Int, base: Double, scaling: Scaling) {
    self.dimensionCount = dimensionCount
    self.base = base
    self.scaling = scaling
  }

  /// Reads `rope.*`. Layers with a sliding window may have a base of their own (`rope.freq_base_swa`), then without
  /// scaling.
  public init(_ hyperparameters: Hyperparameters, ofSlidingLayers sliding: Bool = false) throws(CatalogError) {
    func number(_ name: String) -> Double { hyperparameters.number("rope.\(name)") ?? 0 }
    func require(_ good: Bool, _ name: String) throws(CatalogError) {
      guard good else {
        throw .invalidHyperparameter(name: "rope.\(name)", key: "rope.\(name)", found: "\(number(name))")
      }
    }
    dimensionCount = hyperparameters.integer("rope.dimension_count") ?? 0
    try require(dimensionCount > 0 && dimensionCount % 2 == 0, "dimension_count")
    let slidingBase = number("freq_base_swa")
    if sliding, slidingBase != 0 {
      try require(slidingBase > 1 && slidingBase.isFinite, "freq_base_swa")
      base = slidingBase
      scaling = .none
      return
    }
    base = number("freq_base")
    try require(base > 1 && base.isFinite, "freq_base")
    scaling = try Scaling(hyperparameters, pairs: dimensionCount / 2)
  }

  /// Radians per position, one per pair, for a sequence of `length` tokens.
  public func inverseFrequencies(length: Int) -> [Double] {
    zip(plainFrequencies(length: length), frequencyFactors(length: length)).map { $0 / $1 }
  }

  /// The same for a sequence no longer than the model was made for.
  public var inverseFrequencies: [Double] { inverseFrequencies(length: 0) }

  /// What each plain frequency is divided by.
  public var frequencyFactors: [Double] { frequencyFactors(length: 0) }

  /// Whether `inverseFrequencies` differ between sequences of these lengths.
  public func changes(from old: Int, to new: Int) -> Bool {
    switch scaling {
    case .dynamic, .dynamicByPowers, .longRope: inverseFrequencies(length: old) != inverseFrequencies(length: new)
    default: false
    }
  }

  /// Whether a sequence is computed again when it outgrows the length that its angles are for: its keys, turned by other
  /// factors, would not go with its queries.
  public var isRecomputed: Bool { if case .longRope = scaling { true } else { false } }

  /// Whether what is generated keeps the angles that its prompt was read with (the first Qwen).
  public var isFixedByPrompt: Bool { if case .dynamicByPowers = scaling { true } else { false } }

  private func frequencyFactors(length: Int) -> [Double] {
    let plainFrequencies = plainFrequencies(length: 0)
    switch scaling {
    case .none, .dynamic, .dynamicByPowers: return plainFrequencies.map { _ in 1 }
    case .linear(let factor): return plainFrequencies.map { _ in factor }
    case .factors(let values): return values
    case .longRope(let short, let long, let context, _): return length > context ? long : short
    case .llama3(let factor, let low, let high, let context):
      return plainFrequencies.map { frequency in
        let turns = Double(context) * frequency / (2 * .pi)
        if turns < low { return factor }
        if turns > high { return 1 }
        let smooth = (turns - low) / (high - low)
        return 1 / ((1 - smooth) / factor + smooth)
      }
    case .yarn(let factor, let context, let betaFast, let betaSlow, _, let truncates):
      // The pair that makes `turns` turns over the original context.
      let pair = { (turns: Double) in
        Double(dimensionCount) * log(Double(context) / (turns * 2 * .pi)) / (2 * log(base))
      }
      let ends = (pair(betaFast), pair(betaSlow))
      let low = max(truncates ? ends.0.rounded(.down) : ends.0, 0)
      var high = min(truncates ? ends.1.rounded(.up) : ends.1, Double(dimensionCount - 1))
      if high == low { high += 0.001 }
      return plainFrequencies.indices.map { index in
        let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
        return 1 / (ramp / factor + (1 - ramp))
      }
    }
  }

  /// What the rotated values are multiplied by.
  public var attentionFactor: Double {
    switch scaling {
    case .yarn(let factor, _, _, _, let stated, _): stated ?? (factor > 1 ? 0.1 * log(factor) + 1 : 1)
    case .longRope(_, _, _, let factor): factor
    default: 1
    }
  }

  private func plainFrequencies(length: Int) -> [Double] {
    var base = base
    let dimensions = Double(dimensionCount)
    switch scaling {
    case .dynamic(let factor, let context) where length > context:
      base *= pow(factor * Double(length) / Double(context) - (factor - 1), dimensions / (dimensions - 2))
    case .dynamicByPowers(let context) where length > context:
      let alpha = exp2((log2(Double(length) / Double(context)) + 1).rounded(.up)) - 1
      base *= pow(max(alpha, 1), dimensions / (dimensions - 2))
    default: break
    }
    return (0..<dimensionCount / 2).map { pow(base, -Double(2 * $0) / dimensions) }
  }
}
