public import Bytes
public import IR

/// One tensor of a family (or one per layer): its names, shape in symbols, and when it exists.
public struct TensorRule: Sendable {
  /// Canonical, which is GGUF's; `{layer}` stands for the layer's number.
  public let name: NamePattern
  /// How checkpoints of Hugging Face store it: the published way first, others after it.
  public let huggingFace: [SourceRule]
  /// How GGUF files do, where that is not as it is.
  let gguf: GGUFRule
  let shape: [Expression]
  /// Rows are heads with rotary positions: containers differ in their order.
  public let hasRotaryHeads: Bool
  /// What must not be 0, or must be 0, for it to exist; may depend on `layer`.
  let when: Expression?
  let unless: Expression?
  /// How many layers there are for names with `{layer}`.
  let layerCount: Expression

  /// Where GGUF keeps the tensor.
  enum GGUFRule: Hashable, Sendable {
    /// Under its canonical name, without its first rows (0: all of them).
    case tensor(firstRow: Expression?)
    /// In the metadata, as an array of F32: llama.cpp refuses files with tensors that it does not know.
    case metadata
  }

  init(_ json: JSONObject, names: NameVariants, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    name = NamePattern(try reader.text("name"))
    var sources: [SourceRule] = []
    for item in json["huggingFace"]?.array ?? [] {
      for pattern in names.variants(of: item["name"]?.string?.text ?? item.string?.text ?? "") {
        sources.append(try SourceRule(pattern, item, in: file))
      }
    }
    huggingFace = sources
    shape = try reader.expressions("shape") ?? []
    hasRotaryHeads = json["rotaryHeads"]?.bool ?? false
    when = try reader.expression("when")
    unless = try reader.expression("unless")
    layerCount = try reader.expression("layers") ?? Expression.blockCount
    switch json["gguf"] {
    case nil: gguf = .tensor(firstRow: nil)
    case let value? where value.string?.text == "metadata": gguf = .metadata
    case let value?:
      guard let text = value["firstRow"]?.string?.text, let row = Expression(text) else { throw reader.problem("gguf") }
      gguf = .tensor(firstRow: row)
    }
  }

  /// Whether the model has it (in this layer, for names with `{layer}`).
  public func exists(in hyperparameters: Hyperparameters, layer: Int = 0) -> Bool {
    // What a model does not say is 0 in conditions.
    let known = hyperparameters.symbols(layer: layer)
    let lookup = { (name: String) in known(name) ?? 0 }
    if let when, (when.value(lookup) ?? 0) == 0 { return false }
    if let unless, (unless.value(lookup) ?? 0) != 0 { return false }
    return true
  }

  /// Nil when a symbol has no value or a dimension would be negative.
  public func shape(in hyperparameters: Hyperparameters, layer: Int = 0) -> Shape? {
    let lookup = hyperparameters.symbols(layer: layer)
    var dimensions: [Int] = []
    for expression in shape {
      guard let value = expression.value(lookup) else { return nil }
      dimensions.append(value)
    }
    return Shape(dimensions)
  }
}

/// One way to store a tensor: under which name or names, in which shape, and the steps from there to the canonical one.
public struct SourceRule: Sendable {
  /// With `{expert}`: one tensor for each expert, stacked.
  public let pattern: NamePattern
  /// Nil where it follows from the canonical shape.
  let shape: [Expression]?
  let transforms: [TensorTransform]

  init(_ name: String, _ json: JSONValue, in file: String) throws(DescriptorError) {
    pattern = NamePattern(name)
    guard let object = json.object else {
      shape = nil
      transforms = []
      return
    }
    let reader = DescriptorReader(object, in: file)
    shape = try reader.expressions("shape")
    var transforms: [TensorTransform] = []
    for item in object["transform"]?.array ?? [] {
      transforms.append(try TensorTransform(item, problem: reader.problem("transform")))
    }
    self.transforms = transforms
  }
}

/// Spellings of one family's names: prefixes that some files leave out, words that older files use.
struct NameVariants: Sendable {
  let optionalPrefixes: [String]
  /// Today's word and the older one.
  let oldWords: [(today: String, old: String)]

  /// The name itself first.
  func variants(of name: String) -> [String] {
    var result = [name]
    for (today, old) in oldWords where name.contains(today) { result.append(name.replacing(today, with: old)) }
    for prefix in optionalPrefixes {
      result += result.filter { $0.hasPrefix(prefix) && $0.count > prefix.count }.map {
        String($0.dropFirst(prefix.count))
      }
    }
    return result
  }
}

extension Expression {
  static let blockCount = Expression(root: .name("block_count"))

  private init(root: Node) { self.root = root }
}

extension Hyperparameters {
  /// What names in expressions mean: integers, booleans as 1 and 0, lists by layer, and `layer` and `expert` themselves.
  func symbols(layer: Int = 0, expert: Int = 0) -> (String) -> Int? {
    { name in
      switch self[name] {
      case .integer(let value): value
      case .bool(let value): value ? 1 : 0
      case .integers(let values): values.indices.contains(layer) ? values[layer] : nil
      case nil where name == "layer": layer
      case nil where name == "expert": expert
      default: nil
      }
    }
  }
}
