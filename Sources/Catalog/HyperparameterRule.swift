public import IR
internal import Bytes

/// One hyperparameter of a family: its canonical name, where each container keeps it, and what holds when it is absent.
public struct HyperparameterRule: Sendable {
  public enum ValueType: String, Sendable {
    case integer, number, bool, string
  }

  enum Default: Sendable {
    /// Absent is an error.
    case required
    case value(Hyperparameters.Value)
    case expression(Expression)
    /// Whether the tensor is stored.
    case present(ByteString)
    case absent(ByteString)
    /// The length of a tensor's axis.
    case axis(ByteString, Int)
  }

  public let name: String
  public let type: ValueType
  /// Paths into config.json, dots between keys; the first is the one that is written.
  public let huggingFace: [String]
  /// GGUF keys without the architecture's prefix; empty when GGUF has none.
  public let gguf: [String]
  let fallback: Default
  /// Spellings in config.json that mean another canonical value.
  let renames: [String: String]
  /// The value that is not worth writing.
  public let omitted: Hyperparameters.Value?

  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    name = try reader.text("name")
    guard let type = ValueType(rawValue: try reader.text("type")) else { throw reader.problem("type") }
    self.type = type
    huggingFace = try reader.texts("huggingFace") ?? []
    gguf = try reader.texts("gguf") ?? [name]
    renames = Dictionary(
      uniqueKeysWithValues: (json["rename"]?.object?.members ?? []).compactMap { member in
        member.value.string.map { (member.key.text, $0.text) }
      })
    omitted = json["omit"].flatMap { Self.value($0, as: type) }
    switch json["default"] {
    case nil: fallback = .required
    case .object(let rule)?:
      if let text = rule["expression"]?.string?.text, let expression = Expression(text) {
        fallback = .expression(expression)
      } else if let tensor = rule["present"]?.string {
        fallback = .present(tensor)
      } else if let tensor = rule["absent"]?.string {
        fallback = .absent(tensor)
      } else if let axis = rule["axis"]?.array, axis.count == 2, let tensor = axis[0].string, let position = axis[1].int
      {
        fallback = .axis(tensor, position)
      } else {
        throw reader.problem("default")
      }
    case let literal?:
      guard let value = Self.value(literal, as: type) else { throw reader.problem("default") }
      fallback = .value(value)
    }
  }

  /// A JSON value as this rule's type; nil when it is of another.
  static func value(_ json: JSONValue, as type: ValueType) -> Hyperparameters.Value? {
    switch type {
    case .integer: json.int.map { .integer($0) }
    case .number: json.double.map { .number($0) }
    case .bool: json.bool.map { .bool($0) }
    case .string: json.string.map { .string($0.text) }
    }
  }

  /// A GGUF value as this rule's type; nil when it is of another.
  static func value(_ value: MetadataValue, as type: ValueType) -> Hyperparameters.Value? {
    switch type {
    case .integer: value.int.map { .integer($0) }
    case .number: number(value).map { .number($0) }
    case .bool: value.bool.map { .bool($0) }
    case .string: value.string.map { .string($0.text) }
    }
  }

  /// GGUF rounds to F32. The shortest decimal that names such a number is what the original configuration said, so that
  /// 1e-05 comes back as itself.
  private static func number(_ value: MetadataValue) -> Double? {
    if case .float32(let single) = value, single.isFinite { return Double(single.description) }
    return value.double
  }
}
