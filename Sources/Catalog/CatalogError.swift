public import Bytes
public import IR

/// Why a checkpoint does not match its family's descriptor.
public enum CatalogError: Error, Sendable {
  case unknownFamily(found: String, known: [String])
  /// Required, and neither stated nor computable.
  case missingHyperparameter(name: String, keys: [String])
  /// Stated, but not of the type or range it must have.
  case invalidHyperparameter(name: String, key: String, found: String)
  /// An option of the model's configuration that changes what it computes, with a value that the family's graph has not.
  case unsupportedOption(key: String, found: String, supported: [String])
  /// The tensors are not exactly those of the family: all differences at once.
  case leftovers(MatchReport)
  /// A descriptor of ours is wrong.
  case descriptor(DescriptorError)
}

extension CatalogError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unknownFamily(let found, let known):
      "unknown model family '\(found)'; known are: \(known.joined(separator: ", "))"
    case .missingHyperparameter(let name, let keys):
      "\(name) is missing: the model's configuration has no \(keys.joined(separator: " and no "))"
    case .invalidHyperparameter(let name, let key, let found):
      key == name ? "\(name) cannot be \(found)" : "\(key) = \(found) is no possible value of \(name)"
    case .unsupportedOption(let key, let found, let supported):
      "\(key) = \(found) changes what the model computes and is not supported for this family"
        + (supported.isEmpty ? "" : "; supported: \(supported.joined(separator: ", "))")
    case .leftovers(let report): report.problems.joined(separator: "\n")
    case .descriptor(let error): "\(error)"
    }
  }
}

/// What became of every tensor of the source and every tensor the family needs.
public struct MatchReport: Hashable, Sendable {
  public struct Ignored: Hashable, Sendable {
    public let name: ByteString
    public let rule: String
  }
  public struct Mismatch: Hashable, Sendable {
    public let name: ByteString
    public let expected: Shape
    public let found: Shape
  }

  /// Source names, in the source's order.
  public var consumed: [ByteString] = []
  public var ignored: [Ignored] = []
  /// Needed and not there, by the name the source's container would use.
  public var missing: [ByteString] = []
  /// There and not needed.
  public var unexpected: [ByteString] = []
  public var mismatched: [Mismatch] = []
  /// Of another type than the tensors that it is stacked with.
  public var unlike: [ByteString] = []

  public init() {}

  /// One line per difference; empty when the match is complete.
  public var problems: [String] {
    mismatched.map { "tensor \($0.name) is \($0.found) where the configuration asks for \($0.expected)" }
      + unlike.map { "tensor \($0) is of another type than the experts beside it" }
      + missing.map { "tensor \($0) is missing" }
      + unexpected.map { "tensor \($0) is not part of this family" }
  }
}
