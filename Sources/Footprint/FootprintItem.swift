/// One line of a footprint: how many bytes, and why.
public struct FootprintItem: Hashable, Sendable {
  /// What the bytes are for; totals are sums over one part.
  public enum Part: String, Sendable, CaseIterable {
    case weights
    case kvCache
    case compute
    case overhead
    case gradient
    case optimizer
  }

  public let part: Part
  /// For people: `layers Q8_0`.
  public let name: String
  public let bytes: Int
  /// With every input's name and value: `layers 30 × kvHeads 3 × capacity 512 × 128 B`.
  public var formula: String { "\(expression)" }
  /// Told when asked for: a fit counts thousands of footprints and shows one.
  private let expression: Formula

  init(_ part: Part, _ name: String, _ formula: Formula) throws(FootprintError) {
    guard let bytes = formula.value else { throw .tooLarge(item: name, formula: "\(formula)") }
    self.part = part
    self.name = name
    self.bytes = bytes
    expression = formula
  }
}
