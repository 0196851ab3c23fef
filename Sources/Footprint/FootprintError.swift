/// Why no footprint can be told.
public enum FootprintError: Error, Hashable, Sendable {
  /// A product of the model's dimensions does not fit 64 bits.
  case tooLarge(item: String, formula: String)
  /// The law needs a hyperparameter that the model does not state.
  case missingHyperparameter(name: String)
  /// Stated, but impossible: a list with fewer entries than layers.
  case invalidHyperparameter(name: String, found: String)
  /// Our own data under Formats/ does not say what it must.
  case invalidData(file: String, found: String)
  /// A request outside what the profile can do.
  case unsupported(what: String, known: [String])
  /// A name that means nothing; the nearest that do.
  case unknownName(what: String, nearest: [String])
  /// A number that cannot be.
  case outOfRange(what: String, unit: String, range: ClosedRange<Int>)
}

extension FootprintError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .tooLarge(let item, let formula): "\(item) is too large to count: \(formula)"
    case .missingHyperparameter(let name): "the model does not state \(name), which its memory depends on"
    case .invalidHyperparameter(let name, let found): "\(found) is no possible value of \(name)"
    case .invalidData(let file, let found): "\(file): \(found)"
    case .unsupported(let what, let known): "\(what) is not known; known are: \(known.joined(separator: ", "))"
    case .unknownName(let what, let nearest):
      "\(what) is not known; the nearest names are: \(nearest.joined(separator: ", "))"
    case .outOfRange(let what, let unit, let range):
      "\(what) is impossible: from \(grouped(range.lowerBound)) to \(grouped(range.upperBound)) \(unit)"
    }
  }
}
