import Bytes
public import IR

/// A hyperparameter that llama.cpp takes for something else than the model says: its code for the family knows one value
/// only. Files with another one load, and give other answers.
struct GGUFDifference: Sendable {
  let name: String
  /// What llama.cpp computes; absent counts as one of them.
  private let values: [JSONValue]
  /// What it takes for another value, where it knows all others.
  private let mistaken: [JSONValue]?
  /// The hyperparameter that it takes this one to equal.
  private let other: String?
  /// It computes one over the square roots of these as well.
  let inverseSquareRoots: [Expression]
  /// Counts only where this is not 0.
  let when: Expression?
  let reason: String

  init(_ json: JSONValue, _ problem: DescriptorError) throws(DescriptorError) {
    guard let name = json["name"]?.string?.text, let reason = json["says"]?.string?.text else { throw problem }
    self.name = name
    self.reason = reason
    values = json["values"]?.array ?? []
    mistaken = json["mistaken"]?.array
    other = json["sameAs"]?.string?.text
    inverseSquareRoots = (json["inverseSquareRoots"]?.array ?? []).compactMap {
      $0.string.flatMap { Expression($0.text) }
    }
    when = json["when"]?.string.flatMap { Expression($0.text) }
  }

  func applies(to hyperparameters: Hyperparameters) -> Bool {
    guard let value = hyperparameters[name] else { return false }
    let symbols = hyperparameters.symbols()
    if let when, (when.value { symbols($0) ?? 0 } ?? 0) == 0 { return false }
    if let mistaken { return mistaken.contains { Self.equal(value, $0) } }
    if let other { return value != hyperparameters[other] }
    return switch value {
    case .integers(let list): list.contains { $0 != 0 }
    case .number(let number):
      !values.contains { Self.equal(value, $0) }
        && !inverseSquareRoots.contains { root in
          root.value(symbols).map { abs(number * Double($0).squareRoot() - 1) < 1e-5 } ?? false
        }
    default: !values.contains { Self.equal(value, $0) }
    }
  }

  private static func equal(_ value: Hyperparameters.Value, _ json: JSONValue) -> Bool {
    switch value {
    case .integer(let value): json.int == value
    case .bool(let value): json.bool == value
    case .string(let value): json.string?.text == value
    case .number(let value): json.double == value
    case .integers, .numbers: false
    }
  }
}

extension ArchitectureDescriptor {
  /// What llama.cpp computes differently for such a model, in sentences.
  public func ggufDifferences(_ hyperparameters: Hyperparameters) -> [String] {
    ggufDifferences.filter { $0.applies(to: hyperparameters) }.map(\.reason)
  }
}
