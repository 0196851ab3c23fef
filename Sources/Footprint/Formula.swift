/// Integer arithmetic that remembers how it was done: the number of bytes and the explanation shown beside it come from
/// the same value, so they cannot disagree.
///
///     Formula("layers", 30) * Formula("kvHeads", 3) * 2    // prints "layers 30 × kvHeads 3 × 2"
public struct Formula: Hashable, Sendable {
  private indirect enum Node: Hashable, Sendable {
    case constant(Int)
    case named(String, Int)
    case product([Formula])
    case sum([Formula])
    case maximum([Formula])
    case excess(Formula, Formula)
    case quotient(Formula, Int)
    case roundedUp(Formula, Int)
  }

  private let node: Node

  private init(_ node: Node) { self.node = node }

  /// An input with its name.
  public init(_ name: String, _ value: Int) { self.init(.named(name, value)) }

  /// Nil when the result does not fit an `Int`: hyperparameters come from files.
  public var value: Int? {
    switch node {
    case .constant(let value), .named(_, let value): return value
    case .product(let parts): return Self.fold(parts, from: 1) { $0.multipliedReportingOverflow(by: $1) }
    case .sum(let parts): return Self.fold(parts, from: 0) { $0.addingReportingOverflow($1) }
    case .maximum(let parts):
      let values = parts.compactMap(\.value)
      return values.count == parts.count ? values.max() : nil
    case .excess(let part, let other):
      guard let value = part.value, let taken = other.value else { return nil }
      let (difference, overflow) = value.subtractingReportingOverflow(taken)
      return overflow ? nil : Swift.max(0, difference)
    case .quotient(let part, let divisor):
      guard let value = part.value else { return nil }
      let (sum, overflow) = value.addingReportingOverflow(divisor - 1)
      return overflow ? nil : sum / divisor
    case .roundedUp(let part, let multiple):
      guard let value = part.value else { return nil }
      let (sum, overflow) = value.addingReportingOverflow(multiple - 1)
      return overflow ? nil : sum / multiple * multiple
    }
  }

  private static func fold(
    _ parts: [Formula], from start: Int, _ step: (Int, Int) -> (partialValue: Int, overflow: Bool)
  ) -> Int? {
    var result = start
    for part in parts {
      guard let value = part.value else { return nil }
      let (next, overflow) = step(result, value)
      if overflow { return nil }
      result = next
    }
    return result
  }

  /// The least multiple of `multiple` (above zero) that is not below the value.
  public func roundedUp(to multiple: Int) -> Formula {
    precondition(multiple > 0, "no multiples of \(multiple)")
    return Formula(.roundedUp(self, multiple))
  }

  /// Divided by `divisor` (above zero), rounded up.
  public func divided(by divisor: Int) -> Formula {
    precondition(divisor > 0, "no division by \(divisor)")
    return Formula(.quotient(self, divisor))
  }

  public static func max(_ parts: Formula...) -> Formula { Formula(.maximum(parts)) }
  /// What `part` is above `other`, never below zero.
  public static func excess(of part: Formula, over other: Formula) -> Formula {
    if case .named(_, 0) = other.node { return part }
    return Formula(.excess(part, other))
  }
  public static func sum(_ parts: [Formula]) -> Formula { parts.count == 1 ? parts[0] : Formula(.sum(parts)) }

  public static func * (a: Formula, b: Formula) -> Formula { Formula(.product(a.factors + b.factors)) }
  public static func + (a: Formula, b: Formula) -> Formula { Formula(.sum(a.terms + b.terms)) }

  private var factors: [Formula] { if case .product(let parts) = node { parts } else { [self] } }
  private var terms: [Formula] { if case .sum(let parts) = node { parts } else { [self] } }
}

extension Formula: ExpressibleByIntegerLiteral {
  public init(integerLiteral value: Int) { self.init(.constant(value)) }
}

extension Formula: CustomStringConvertible {
  public var description: String {
    switch node {
    case .constant(let value): "\(value)"
    case .named(let name, let value): "\(name) \(abs(value) < 10_000 ? "\(value)" : grouped(value))"
    case .product(let parts): parts.map { $0.isSum ? "(\($0))" : "\($0)" }.joined(separator: " × ")
    case .sum(let parts): parts.isEmpty ? "0" : parts.map { "\($0)" }.joined(separator: " + ")
    case .maximum(let parts): "max(" + parts.map { "\($0)" }.joined(separator: ", ") + ")"
    case .excess(let part, let other): "max(0, \(part) − (\(other)))"
    case .quotient(let part, let divisor): (part.isAtom ? "\(part)" : "(\(part))") + " ÷ \(divisor)"
    case .roundedUp(let part, let multiple): "⌈\(part)⌉\(multiple)"
    }
  }

  private var isSum: Bool { if case .sum(let parts) = node { parts.count != 1 } else { false } }
  private var isAtom: Bool {
    switch node {
    case .constant, .named, .maximum, .excess, .roundedUp: true
    case .product, .sum, .quotient: false
    }
  }
}
