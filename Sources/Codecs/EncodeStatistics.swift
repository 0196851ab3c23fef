/// What encoding some values cost.
public struct EncodeStatistics: Sendable, Equatable {
  /// Sum over the finite values of (value − decoded value)², not weighted by importance.
  public var squaredError: Double
  /// NaNs and infinities among the values. Packed formats hold them as zero, plain numbers as they are: refuse or warn.
  public var nonFiniteCount: Int

  public init(squaredError: Double = 0, nonFiniteCount: Int = 0) {
    self.squaredError = squaredError
    self.nonFiniteCount = nonFiniteCount
  }

  public mutating func add(_ part: Self) {
    squaredError += part.squaredError
    nonFiniteCount += part.nonFiniteCount
  }
}
