public import Bytes
public import IR

/// What storing one tensor in each possible format would cost: the input of an allocation.
public struct TensorChoices: Sendable {
  public struct Choice: Sendable {
    public let format: BlockFormat
    public let byteCount: Int
    /// What the model's output loses, in nats of KL divergence per token; costs of tensors add up.
    public let loss: Double

    public init(format: BlockFormat, byteCount: Int, loss: Double) {
      self.format = format
      self.byteCount = byteCount
      self.loss = loss
    }
  }

  public let name: ByteString
  public let choices: [Choice]

  public init(name: ByteString, choices: [Choice]) {
    precondition(!choices.isEmpty, "a tensor needs some format")
    self.name = name
    self.choices = choices
  }
}

/// A format for every tensor so that the sum of losses is least within a budget of bytes: the multiple-choice knapsack,
/// solved exactly by dynamic programming over bytes in units of their greatest common divisor.
///
/// Where that would be more than `resolution` units, sizes are rounded up to a coarser one: the budget still holds, and
/// the optimum is missed by at most that rounding. Time and memory: tensors · units.
public struct Allocation: Sendable {
  public let formats: [ByteString: BlockFormat]
  public let byteCount: Int
  public let loss: Double

  private static let resolution = 1 << 17

  /// Nil when even the smallest formats exceed the budget.
  public init?(_ tensors: [TensorChoices], budget: Int) {
    let least = tensors.reduce(0) { $0 + ($1.choices.map(\.byteCount).min() ?? 0) }
    guard least <= budget else { return nil }
    let most = tensors.reduce(0) { $0 + ($1.choices.map(\.byteCount).max() ?? 0) }
    let sizes = tensors.flatMap { $0.choices.map(\.byteCount) }
    let common = max(1, sizes.reduce(0, Self.greatestCommonDivisor))
    let usable = min(budget, most)
    // Rounding up may make the smallest formats too large; then a finer unit must do.
    var unit = max(common, usable / Self.resolution)
    func units(_ bytes: Int) -> Int { (bytes + unit - 1) / unit }
    while unit > common, tensors.reduce(0, { $0 + units($1.choices.map(\.byteCount).min() ?? 0) }) > usable / unit {
      unit = max(common, unit / 2)
    }
    let capacity = usable / unit
    var best = [Double](repeating: .infinity, count: capacity + 1)
    best[0] = 0
    var picks: [[UInt8]] = []
    for tensor in tensors {
      var next = [Double](repeating: .infinity, count: capacity + 1)
      var pick = [UInt8](repeating: 0, count: capacity + 1)
      for (index, choice) in tensor.choices.enumerated() {
        let size = units(choice.byteCount)
        guard size <= capacity else { continue }
        for used in size...capacity where best[used - size] + choice.loss < next[used] {
          next[used] = best[used - size] + choice.loss
          pick[used] = UInt8(index)
        }
      }
      best = next
      picks.append(pick)
    }
    guard var used = best.indices.min(by: { best[$0] < best[$1] }), best[used].isFinite else { return nil }
    var formats: [ByteString: BlockFormat] = [:]
    var byteCount = 0
    var loss = 0.0
    for (tensor, pick) in zip(tensors, picks).reversed() {
      let choice = tensor.choices[Int(pick[used])]
      formats[tensor.name] = choice.format
      byteCount += choice.byteCount
      loss += choice.loss
      used -= units(choice.byteCount)
    }
    self.formats = formats
    self.byteCount = byteCount
    self.loss = loss
  }

  /// The smallest allocation whose loss is at most `loss`; nil when none is.
  public init?(_ tensors: [TensorChoices], maximumLoss: Double) {
    var low = tensors.reduce(0) { $0 + ($1.choices.map(\.byteCount).min() ?? 0) }
    var high = tensors.reduce(0) { $0 + ($1.choices.map(\.byteCount).max() ?? 0) }
    guard var found = Allocation(tensors, budget: high), found.loss <= maximumLoss else { return nil }
    // To one part in a thousand of the size.
    while high - low > max(1, high / 1000) {
      let middle = low + (high - low) / 2
      if let allocation = Allocation(tensors, budget: middle), allocation.loss <= maximumLoss {
        found = allocation
        high = middle
      } else {
        low = middle
      }
    }
    self = found
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return a
  }
}
