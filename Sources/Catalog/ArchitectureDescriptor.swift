public import Bytes
public import IR

/// A model family as data: how to recognise it, its hyperparameters, its tensors and its graph (Formats/Architectures).
public struct ArchitectureDescriptor: Sendable {
  public let family: String
  /// One sentence for people.
  public let summary: String
  /// `model_type` values of config.json.
  public let modelTypes: [String]
  /// `architectures` values of config.json; the first is written.
  public let architectureNames: [String]
  /// `general.architecture`, where llama.cpp knows the family.
  public let ggufArchitecture: String?
  /// The order of rotary heads' rows in GGUF files.
  public let ggufRotaryOrder: RotaryOrder
  public let graph: Graph
  public let hyperparameters: [HyperparameterRule]
  public let tensors: [TensorRule]
  let ignored: [IgnoreRule]

  package init(parsing bytes: [UInt8], file: String) throws(DescriptorError) {
    let json: JSONValue
    do { json = try JSONValue.parse(bytes) } catch { throw .invalid(file: file, key: "\(error)") }
    guard let root = json.object else { throw .invalid(file: file, key: "object") }
    let reader = DescriptorReader(root, in: file)
    family = try reader.text("family")
    summary = try reader.text("describes")
    guard let huggingFace = root["huggingFace"]?.object else { throw reader.problem("huggingFace") }
    let names = DescriptorReader(huggingFace, in: file)
    modelTypes = try names.texts("model_type") ?? []
    architectureNames = try names.texts("architectures") ?? []
    ggufArchitecture = root["gguf"]?["architecture"]?.string?.text
    ggufRotaryOrder = RotaryOrder(rawValue: root["gguf"]?["rotary"]?.string?.text ?? "halves") ?? .halves
    guard let graphObject = root["graph"]?.object else { throw reader.problem("graph") }
    graph = try Graph(graphObject, in: file)
    var hyperparameters: [HyperparameterRule] = []
    for object in try reader.objects("hyperparameters") {
      hyperparameters.append(try HyperparameterRule(object, in: file))
    }
    self.hyperparameters = hyperparameters
    var tensors: [TensorRule] = []
    for object in try reader.objects("tensors") { tensors.append(try TensorRule(object, in: file)) }
    self.tensors = tensors
    var ignored: [IgnoreRule] = []
    for object in try reader.objects("ignored") { ignored.append(try IgnoreRule(object, in: file)) }
    self.ignored = ignored
  }

  /// Every tensor a model with these hyperparameters has: one per layer for the patterns.
  /// Rules whose shape has no value are left out; `Matching` reports them.
  public func instances(in hyperparameters: Hyperparameters) -> [TensorInstance] {
    let layerCount = hyperparameters.integer("block_count") ?? 0
    return tensors.filter { $0.exists(in: hyperparameters) }.flatMap { rule -> [TensorInstance] in
      guard let shape = rule.shape(in: hyperparameters) else { return [] }
      return (0..<(rule.name.isPerLayer ? layerCount : 1)).map { layer in
        TensorInstance(
          rule: rule, name: rule.name.name(layer: layer),
          huggingFaceNames: rule.huggingFace.map { $0.name(layer: layer) }, shape: shape)
      }
    }
  }
}

/// One tensor that a model must have.
public struct TensorInstance: Sendable {
  public let rule: TensorRule
  public let name: ByteString
  public let huggingFaceNames: [ByteString]
  public let shape: Shape
}

/// A tensor that files may hold and models do not need, with the reason.
struct IgnoreRule: Sendable {
  let huggingFace: NamePattern?
  let name: NamePattern?
  let when: String?
  let reason: String

  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    huggingFace = json["huggingFace"]?.string.map { NamePattern($0.text) }
    name = json["name"]?.string.map { NamePattern($0.text) }
    when = json["when"]?.string?.text
    reason = try DescriptorReader(json, in: file).text("rule")
  }
}
