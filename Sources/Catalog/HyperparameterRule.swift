public import IR
internal import Bytes

/// One hyperparameter of a family: its canonical name, where each container keeps it, and what holds when it is absent.
public struct HyperparameterRule: Sendable {
  public enum ValueType: String, Sendable {
    case integer, number, bool, string
    /// A list by layer or by pair; strings in it are renamed to integers.
    case integers, numbers
    /// A list of layers' numbers, read as 1 for each of them and 0 for the others.
    case layerSet
  }

  enum Default: Sendable {
    /// Absent is an error.
    case required
    /// Absent is absent.
    case none
    case value(Hyperparameters.Value)
    case expression(Expression)
    /// The square root of an integer.
    case squareRoot(Expression)
    /// Another number times a constant.
    case product(String, Double)
    /// Whether the tensor is stored; `otherwise` when no tensors are known (a bare config.json).
    case present(ByteString, otherwise: Bool)
    case absent(ByteString, otherwise: Bool)
    /// The length of a tensor's axis.
    case axis(ByteString, Int, otherwise: Int?)
    /// One over the square root of an integer.
    case inverseSquareRoot(Expression)
  }

  /// A fraction of another hyperparameter: `partial_rotary_factor` of a head's length.
  struct Share: Sendable {
    let whole: Expression
    let huggingFace: [String]
  }

  public let name: String
  public let type: ValueType
  /// Paths into config.json, dots between keys; the first is the one that is written.
  public let huggingFace: [String]
  /// GGUF keys without the architecture's prefix (a leading `=` says that there is none); empty when GGUF has none.
  public let gguf: [String]
  let fallback: Default
  /// In GGUF files, where it differs.
  let ggufFallback: Default?
  /// Whether another rule reads the same GGUF key in another form: a list where this has a number.
  let isSharedInGGUF: Bool
  /// Spellings in config.json that mean another canonical value.
  let renames: [String: Hyperparameters.Value]
  /// What config.json is written with, where it is not the canonical spelling.
  let spellings: [String: JSONValue]
  /// Spellings in GGUF files, where they differ from the canonical ones: canonical → GGUF's number.
  let ggufCodes: [String: Int]
  /// The value that is not worth writing.
  public let omitted: Hyperparameters.Value?
  /// What files state is this many times the value (Qwen's doubled feed-forward length).
  let multiple: Int
  /// What config.json states is this much more (RoBERTa's positions begin at 2).
  let surplus: Expression?
  /// What config.json states is the inverse square of the value (Gemma's `query_pre_attn_scalar`).
  let isInverseRoot: Bool
  let share: Share?
  /// When this is 0, what files state does not count.
  let when: Expression?
  /// The only values there may be.
  let allowed: [String]?

  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    name = try reader.text("name")
    guard let type = ValueType(rawValue: try reader.text("type")) else { throw reader.problem("type") }
    self.type = type
    huggingFace = try reader.texts("huggingFace") ?? []
    gguf = try reader.texts("gguf") ?? [name]
    var renames: [String: Hyperparameters.Value] = [:]
    for member in json["rename"]?.object?.members ?? [] {
      guard
        let value = member.value.string.map({ Hyperparameters.Value.string($0.text) })
          ?? member.value.bool.map({ .bool($0) }) ?? member.value.int.map({ .integer($0) })
      else { throw reader.problem("rename") }
      renames[member.key.text] = value
    }
    self.renames = renames
    var spellings: [String: JSONValue] = [:]
    for member in json["written"]?.object?.members ?? [] { spellings[member.key.text] = member.value }
    self.spellings = spellings
    var codes: [String: Int] = [:]
    for member in json["ggufCodes"]?.object?.members ?? [] {
      guard let code = member.value.int else { throw reader.problem("ggufCodes") }
      codes[member.key.text] = code
    }
    ggufCodes = codes
    omitted = json["omit"].flatMap { Self.value($0, as: type) }
    multiple = json["multiple"]?.int ?? 1
    surplus = try reader.expression("surplus")
    isInverseRoot = json["inverseRoot"]?.bool ?? false
    allowed = try reader.texts("allowed")
    when = try reader.expression("when")
    if let object = json["share"]?.object {
      let inner = DescriptorReader(object, in: file)
      guard let whole = try inner.expression("of"), let paths = try inner.texts("huggingFace") else {
        throw reader.problem("share")
      }
      share = Share(whole: whole, huggingFace: paths)
    } else {
      share = nil
    }
    fallback = try Self.fallback(json["default"], type, reader) ?? .required
    ggufFallback = try Self.fallback(json["ggufDefault"], type, reader)
    isSharedInGGUF = json["ggufShared"]?.bool ?? false
  }

  /// The GGUF keys in full.
  func ggufKeys(_ architecture: String) -> [String] {
    gguf.map { $0.hasPrefix("=") ? String($0.dropFirst()) : "\(architecture).\($0)" }
  }

  private static func fallback(
    _ json: JSONValue?, _ type: ValueType, _ reader: DescriptorReader
  ) throws(DescriptorError) -> Default? {
    switch json {
    case nil: return nil
    case .null?: return Default.none
    case .object(let rule)?:
      let otherwise = rule["otherwise"]?.bool
      if let text = rule["expression"]?.string?.text, let expression = Expression(text) {
        return .expression(expression)
      }
      if let text = rule["squareRoot"]?.string?.text, let expression = Expression(text) {
        return .squareRoot(expression)
      }
      if let text = rule["inverseSquareRoot"]?.string?.text, let expression = Expression(text) {
        return .inverseSquareRoot(expression)
      }
      if let parts = rule["product"]?.array, parts.count == 2, let name = parts[0].string?.text,
        let factor = parts[1].double
      {
        return .product(name, factor)
      }
      if let tensor = rule["present"]?.string { return .present(tensor, otherwise: otherwise ?? false) }
      if let tensor = rule["absent"]?.string { return .absent(tensor, otherwise: otherwise ?? false) }
      if let axis = rule["axis"]?.array, axis.count == 2, let tensor = axis[0].string, let position = axis[1].int {
        return .axis(tensor, position, otherwise: rule["otherwise"]?.int)
      }
      throw reader.problem("default")
    case let literal?:
      guard let value = Self.value(literal, as: type) else { throw reader.problem("default") }
      return .value(value)
    }
  }

  /// A JSON value as this rule's type, renamed; nil when it is of another.
  func read(_ json: JSONValue, blockCount: Int?) -> Hyperparameters.Value? {
    if let renamed = renames[json.plainText] { return renamed }
    switch type {
    case .layerSet:
      guard let items = json.array, let blockCount, blockCount <= ArchitectureDescriptor.mostLayers else { return nil }
      var flags = [Int](repeating: 0, count: blockCount)
      for item in items {
        guard let layer = item.int else { return nil }
        if flags.indices.contains(layer) { flags[layer] = 1 }
      }
      return .integers(flags)
    case .integers:
      guard let items = json.array else { return nil }
      var values: [Int] = []
      for item in items {
        guard
          let value = renames[item.plainText].flatMap({ if case .integer(let value) = $0 { value } else { nil } })
            ?? item.int ?? item.bool.map({ $0 ? 1 : 0 })
        else { return nil }
        values.append(value)
      }
      return .integers(values)
    default:
      guard let value = Self.value(json, as: type) else { return nil }
      return scaled(value, json)
    }
  }

  /// The value that a number in a file means.
  private func scaled(_ value: Hyperparameters.Value, _ json: JSONValue) -> Hyperparameters.Value? {
    switch value {
    case .integer(let stated) where multiple != 1: stated % multiple == 0 ? .integer(stated / multiple) : nil
    case .number(let stated) where isInverseRoot: stated > 0 ? .number(1 / stated.squareRoot()) : nil
    default: value
    }
  }

  /// A JSON value as a type; nil when it is of another.
  static func value(_ json: JSONValue, as type: ValueType) -> Hyperparameters.Value? {
    switch type {
    case .integer: return json.int.map { .integer($0) }
    case .number: return json.double.map { .number($0) }
    case .bool: return json.bool.map { .bool($0) }
    case .string: return json.string.map { .string($0.text) }
    case .integers, .layerSet:
      guard let items = json.array else { return nil }
      let values = items.compactMap(\.int)
      return values.count == items.count ? .integers(values) : nil
    case .numbers:
      guard let items = json.array else { return nil }
      let values = items.compactMap(\.double)
      return values.count == items.count ? .numbers(values) : nil
    }
  }

  /// A GGUF value as this rule's type; nil when it is of another.
  func read(_ value: MetadataValue) -> Hyperparameters.Value? {
    if !ggufCodes.isEmpty, let code = value.int {
      return ggufCodes.first { $0.value == code }.map { .string($0.key) }
    }
    switch type {
    case .integer:
      // A list that says the same for every layer is one number.
      if let values = value.array?.ints, let first = values.first {
        return values.allSatisfy { $0 == first } ? .integer(first) : nil
      }
      guard let stated = value.int else { return nil }
      return stated % multiple == 0 ? .integer(stated / multiple) : nil
    case .number: return Self.number(value).map { .number($0) }
    case .bool: return value.bool.map { .bool($0) }
    case .string: return value.string.map { .string($0.text) }
    case .integers, .layerSet: return value.array?.ints.map { .integers($0) }
    case .numbers: return value.array?.floats.map { .numbers($0.map { Double($0.description) ?? Double($0) }) }
    }
  }

  /// GGUF rounds to F32. The shortest decimal that names such a number is what the original configuration said, so that
  /// 1e-05 comes back as itself.
  private static func number(_ value: MetadataValue) -> Double? {
    if case .float32(let single) = value, single.isFinite { return Double(single.description) }
    return value.double
  }
}
