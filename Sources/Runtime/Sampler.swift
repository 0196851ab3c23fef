import Glibc
public import Kernels

/// Picks the next token from logits: greedy at temperature 0, else among the most likely.
public struct Sampler: Sendable {
  public var temperature: Double
  /// The most tokens considered.
  public var topK: Int
  /// The least total probability considered.
  public var topP: Double
  private var state: UInt64

  /// The same seed gives the same choices.
  public init(temperature: Double = 0, topK: Int = 40, topP: Double = 0.95, seed: UInt64 = 0) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    state = seed
  }

  public mutating func pick(_ logits: Floats) -> Int {
    logits.withSpan { logits in
      var best: [(token: Int, logit: Float)] = []
      let keep = temperature > 0 ? max(1, topK) : 1
      for token in 0..<logits.count {
        let logit = logits[token]
        if best.count == keep, let last = best.last, !(logit > last.logit) { continue }
        let place = best.firstIndex { logit > $0.logit } ?? best.count
        best.insert((token, logit), at: place)
        if best.count > keep { best.removeLast() }
      }
      guard temperature > 0, let first = best.first else { return best.first?.token ?? 0 }
      var weights = best.map { exp(Double($0.logit - first.logit) / temperature) }
      let total = weights.reduce(0, +)
      var mass = 0.0
      if let cut = weights.firstIndex(where: { weight in
        mass += weight / total
        return mass >= topP
      }) {
        weights.removeLast(weights.count - cut - 1)
      }
      var target = uniform() * weights.reduce(0, +)
      for (weight, candidate) in zip(weights, best) {
        target -= weight
        if target <= 0 { return candidate.token }
      }
      return best[weights.count - 1].token
    }
  }

  /// Any of so many tokens, each as likely as another.
  public mutating func pick(below count: Int) -> Int { min(count - 1, Int(uniform() * Double(count))) }

  /// SplitMix64 (Steele et al. 2014): in [0, 1).
  private mutating func uniform() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
  }
}
