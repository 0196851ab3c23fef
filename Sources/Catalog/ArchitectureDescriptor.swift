public import Bytes
public import IR

/// A model family as data: how to recognise it, its hyperparameters, its tensors and its graph (Formats/Architectures).
public struct ArchitectureDescriptor: Sendable {
  let recognition: Recognition
  /// One sentence for people.
  public let summary: String
  /// The order of rotary heads' rows in GGUF files.
  public let ggufRotaryOrder: RotaryOrder
  /// Metadata that is written into every GGUF file of the family, for llama.cpp: values that its code asks for and no
  /// hyperparameter holds.
  public let ggufConstants: [(key: String, value: MetadataValue)]
  let ggufDifferences: [GGUFDifference]
  public let graph: Graph
  public let hyperparameters: [HyperparameterRule]
  public let tensors: [TensorRule]
  let ignored: [IgnoreRule]
  /// Keys of config.json that must be absent or have one of these values.
  let requirements: [ConfigurationRequirement]

  /// - Parameter base: finds the family that `inherits` names.
  package init(
    parsing bytes: [UInt8], file: String, base: (String) throws(DescriptorError) -> JSONObject? = { _ in nil }
  ) throws(DescriptorError) {
    try self.init(try Self.object(bytes, file: file), file: file, base: base)
  }

  init(
    _ object: JSONObject, file: String, base: (String) throws(DescriptorError) -> JSONObject?
  ) throws(DescriptorError) {
    let root = try Self.inherited(object, file: file, base: base)
    let reader = DescriptorReader(root, in: file)
    recognition = try Recognition(root, in: file)
    summary = try reader.text("describes")
    guard let huggingFace = root["huggingFace"]?.object else { throw reader.problem("huggingFace") }
    let names = DescriptorReader(huggingFace, in: file)
    var oldWords: [(today: String, old: String)] = []
    for member in huggingFace["oldWords"]?.object?.members ?? [] {
      guard let old = member.value.string?.text else { throw reader.problem("oldWords") }
      oldWords.append((member.key.text, old))
    }
    let variants = NameVariants(optionalPrefixes: try names.texts("optionalPrefixes") ?? [], oldWords: oldWords)
    guard let order = RotaryOrder(rawValue: root["gguf"]?["rotary"]?.string?.text ?? "halves") else {
      throw reader.problem("gguf.rotary")
    }
    ggufRotaryOrder = order
    var constants: [(key: String, value: MetadataValue)] = []
    for member in root["gguf"]?["constants"]?.object?.members ?? [] {
      guard let value = MetadataValue(constant: member.value) else { throw reader.problem("gguf.constants") }
      constants.append((member.key.text, value))
    }
    ggufConstants = constants
    var differences: [GGUFDifference] = []
    for item in root["gguf"]?["differs"]?.array ?? [] {
      differences.append(try GGUFDifference(item, reader.problem("gguf.differs")))
    }
    ggufDifferences = differences
    guard let graphObject = root["graph"]?.object else { throw reader.problem("graph") }
    graph = try Graph(graphObject, in: file)
    var hyperparameters: [HyperparameterRule] = []
    for object in try reader.objects("hyperparameters") {
      hyperparameters.append(try HyperparameterRule(object, in: file))
    }
    self.hyperparameters = hyperparameters
    var tensors: [TensorRule] = []
    for object in try reader.objects("tensors") {
      tensors.append(try TensorRule(object, names: variants, in: file))
    }
    self.tensors = tensors
    var ignored: [IgnoreRule] = []
    for object in try reader.objects("ignored") { ignored.append(try IgnoreRule(object, names: variants, in: file)) }
    self.ignored = ignored
    var requirements: [ConfigurationRequirement] = []
    for object in root["requires"]?.array ?? [] {
      guard let object = object.object else { throw reader.problem("requires") }
      requirements.append(try ConfigurationRequirement(object, in: file))
    }
    self.requirements = requirements
  }

  static func object(_ bytes: [UInt8], file: String) throws(DescriptorError) -> JSONObject {
    let json: JSONValue
    do { json = try JSONValue.parse(bytes) } catch { throw .invalid(file: file, key: "\(error)") }
    guard let root = json.object else { throw .invalid(file: file, key: "object") }
    return root
  }

  /// The object with what it inherits: members that it states win; of `hyperparameters` and `tensors` those with the name
  /// of a base's take its place and others come after; `without` names those that the base has and this does not;
  /// `ignored` and `requires` add up; members of `graph` and `gguf` win one by one, but `gguf`'s `differsToo` adds to
  /// `differs`. `substitute` exchanges words in the base's tensor names.
  static func inherited(
    _ object: JSONObject, file: String, base find: (String) throws(DescriptorError) -> JSONObject?, depth: Int = 0
  ) throws(DescriptorError) -> JSONObject {
    guard let name = object["inherits"]?.string?.text else { return object }
    guard depth < 4, let parent = try find(name) else { throw .invalid(file: file, key: "inherits: \(name)") }
    var result = try inherited(parent, file: file, base: find, depth: depth + 1)
    result["inherits"] = nil
    let words = (object["substitute"]?.object?.members ?? []).map { ($0.key.text, $0.value.string?.text ?? "") }
    for key in ["tensors", "ignored"] as [ByteString] where !words.isEmpty {
      if let value = result[key] { result[key] = value.replacing(words) }
    }
    let without = (object["without"]?.array ?? []).compactMap { $0.string?.text }
    for key in ["hyperparameters", "tensors"] as [ByteString] {
      var items = (result[key]?.array ?? []).filter { !without.contains($0["name"]?.string?.text ?? "") }
      for item in object[key]?.array ?? [] {
        let name = item["name"]?.string
        if let position = items.firstIndex(where: { $0["name"]?.string == name }) {
          items[position] = item
        } else {
          items.append(item)
        }
      }
      result[key] = .array(items)
    }
    for key in ["ignored", "requires"] as [ByteString] {
      let items = (object[key]?.array ?? []) + (result[key]?.array ?? [])
      if !items.isEmpty { result[key] = .array(items) }
    }
    for key in ["graph", "gguf"] as [ByteString] {
      guard let own = object[key]?.object else { continue }
      var merged = result[key]?.object ?? JSONObject()
      for member in own.members where member.key != "differsToo" { merged[member.key] = member.value }
      if let more = own["differsToo"]?.array { merged["differs"] = .array((merged["differs"]?.array ?? []) + more) }
      result[key] = .object(merged)
    }
    let combined: [ByteString] = [
      "hyperparameters", "tensors", "ignored", "requires", "graph", "gguf", "inherits", "without", "substitute",
    ]
    for member in object.members where !combined.contains(member.key) { result[member.key] = member.value }
    return result
  }
}

/// A tensor that files may hold and models do not need, with the reason.
struct IgnoreRule: Sendable {
  let huggingFace: [NamePattern]
  let name: NamePattern?
  let when: Expression?
  let reason: String

  init(_ json: JSONObject, names: NameVariants, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    huggingFace = (json["huggingFace"]?.string).map { names.variants(of: $0.text).map { NamePattern($0) } } ?? []
    name = json["name"]?.string.map { NamePattern($0.text) }
    when = try reader.expression("when")
    reason = try reader.text("rule")
  }

  func covers(
    _ stored: ByteString, naming: ArchitectureDescriptor.Naming, hyperparameters: Hyperparameters
  ) -> Bool {
    (naming == .gguf ? name.map { [$0] } ?? [] : huggingFace).contains { pattern in
      guard let layer = pattern.layerNumber(in: stored) else { return false }
      return when.map { ($0.value(hyperparameters.symbols(layer: layer)) ?? 0) != 0 } ?? true
    }
  }
}

extension JSONValue {
  /// The same with words exchanged in the strings at `huggingFace`, whose inner names included.
  fileprivate func replacing(_ words: [(String, String)], inNames: Bool = false) -> JSONValue {
    switch self {
    case .array(let items): return .array(items.map { $0.replacing(words, inNames: inNames) })
    case .object(var object):
      for member in object.members {
        let isName = member.key == "huggingFace" || inNames && member.key == "name"
        object[member.key] = member.value.replacing(words, inNames: isName)
      }
      return .object(object)
    case .string(let text) where inNames:
      return .text(words.reduce(text.text) { $0.replacing($1.0, with: $1.1) })
    default: return self
    }
  }

  /// A scalar as people would write it.
  var plainText: String { string?.text ?? String(decoding: serialized(), as: UTF8.self) }
}

extension MetadataValue {
  init?(constant json: JSONValue) {
    if let value = json.bool {
      self = .bool(value)
    } else if let value = json.int.flatMap(UInt32.init(exactly:)) {
      self = .uint32(value)
    } else if let value = json.double {
      self = .float32(Float(value))
    } else if let value = json.string {
      self = .string(value)
    } else {
      return nil
    }
  }
}
