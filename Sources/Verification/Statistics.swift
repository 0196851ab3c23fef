import Glibc

/// The distribution of a quantity over tokens.
public struct Statistics: Sendable, Hashable {
  public let count: Int
  public let mean: Double
  /// Standard error of the mean, taking tokens as independent.
  public let standardError: Double
  public let median: Double
  public let p90: Double
  public let p99: Double
  public let max: Double

  /// Sorts once. All zero for no values.
  public init(_ values: [Double]) {
    count = values.count
    guard !values.isEmpty else {
      (mean, standardError, median, p90, p99, max) = (0, 0, 0, 0, 0, 0)
      return
    }
    let mean = values.reduce(0, +) / Double(values.count)
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(Swift.max(1, values.count - 1))
    self.mean = mean
    standardError = (variance / Double(values.count)).squareRoot()
    let sorted = values.sorted()
    // Linear interpolation between the two nearest ranks.
    let quantile = { (share: Double) -> Double in
      let place = share * Double(sorted.count - 1)
      let low = Int(place)
      let high = min(low + 1, sorted.count - 1)
      return sorted[low] + (place - Double(low)) * (sorted[high] - sorted[low])
    }
    median = quantile(0.5)
    p90 = quantile(0.9)
    p99 = quantile(0.99)
    max = sorted[sorted.count - 1]
  }
}

/// exp of the mean negative log-probability, with its standard error.
public struct Perplexity: Sendable, Hashable {
  public let value: Double
  public let standardError: Double

  init(negativeLogProbabilities: [Double]) {
    let statistics = Statistics(negativeLogProbabilities)
    value = exp(statistics.mean)
    standardError = value * statistics.standardError
  }
}
