public import Bytes
public import IR

/// Where a family's hyperparameters are read from.
public enum HyperparameterSource: Sendable {
  /// config.json.
  case huggingFace(JSONObject)
  /// GGUF metadata, keys prefixed with the architecture's name; `quern.` holds what llama.cpp has no key for.
  case gguf(Metadata, architecture: String)
}

extension ArchitectureDescriptor {
  /// Reads and checks every hyperparameter of the family.
  /// - Parameter tensors: shapes of the canonical tensors that are stored, or nil when only a configuration is known.
  public func readHyperparameters(
    from source: HyperparameterSource, tensors: [ByteString: Shape]?
  ) throws(CatalogError) -> Hyperparameters {
    var result = Hyperparameters()
    for rule in hyperparameters {
      if let value = try stated(rule, in: source) {
        result[rule.name] = value
      } else if let value = defaultValue(rule, given: result, tensors: tensors) {
        result[rule.name] = value
      } else {
        throw .missingHyperparameter(name: rule.name, keys: keys(of: rule, in: source))
      }
      if case .integer(let value)? = result[rule.name],
        !(0...Self.largestInteger).contains(value) || value == 0 && Self.neverZero.contains(rule.name)
      {
        throw impossible(rule.name, value, in: source)
      }
    }
    if let layers = result.integer("block_count"), layers > Self.mostLayers {
      throw impossible("block_count", layers, in: source)
    }
    if self.tensors.contains(where: \.hasRotaryHeads), let length = result.integer("attention.key_length"),
      length % 2 != 0
    {
      throw impossible("attention.key_length", length, in: source)
    }
    return result
  }

  /// Far above any released model, far below what would make sizes overflow or loops endless.
  private static let largestInteger = 1 << 32
  private static let mostLayers = 10_000
  private static let neverZero = [
    "attention.head_count", "attention.head_count_kv", "attention.key_length", "embedding_length",
  ]

  private func impossible(_ name: String, _ value: Int, in source: HyperparameterSource) -> CatalogError {
    let key = hyperparameters.first { $0.name == name }.flatMap { keys(of: $0, in: source).first }
    return .invalidHyperparameter(name: name, key: key ?? name, found: "\(value)")
  }

  private func keys(of rule: HyperparameterRule, in source: HyperparameterSource) -> [String] {
    switch source {
    case .huggingFace: rule.huggingFace
    case .gguf(_, let architecture): rule.gguf.map { "\(architecture).\($0)" }
    }
  }

  private func stated(_ rule: HyperparameterRule, in source: HyperparameterSource) throws(CatalogError)
    -> Hyperparameters.Value?
  {
    switch source {
    case .huggingFace(let configuration):
      for path in rule.huggingFace {
        guard let json = configuration.value(atPath: path), !json.isNull else { continue }
        guard let value = HyperparameterRule.value(json, as: rule.type) else {
          let found = String(decoding: json.serialized(), as: UTF8.self)
          throw .invalidHyperparameter(name: rule.name, key: path, found: found)
        }
        if case .string(let text) = value, let renamed = rule.renames[text] { return .string(renamed) }
        return value
      }
    case .gguf(let metadata, let architecture):
      for key in rule.gguf.map({ "\(architecture).\($0)" }) + ["quern.\(rule.name)"] {
        guard let entry = metadata[ByteString(key)] else { continue }
        guard let value = HyperparameterRule.value(entry, as: rule.type) else {
          throw .invalidHyperparameter(name: rule.name, key: key, found: "\(entry)")
        }
        return value
      }
    }
    return nil
  }

  private func defaultValue(
    _ rule: HyperparameterRule, given known: Hyperparameters, tensors: [ByteString: Shape]?
  ) -> Hyperparameters.Value? {
    switch rule.fallback {
    case .required: return nil
    case .value(let value): return value
    case .expression(let expression): return expression.value { known.integer($0) }.map { .integer($0) }
    case .present(let name): return .bool(tensors?[name] != nil)
    case .absent(let name): return .bool(tensors.map { $0[name] == nil } ?? false)
    case .axis(let name, let position):
      guard let shape = tensors?[name], shape.dimensions.indices.contains(position) else { return nil }
      return .integer(shape.dimensions[position])
    }
  }
}

extension JSONObject {
  /// `rope_scaling.factor` and the like.
  func value(atPath path: String) -> JSONValue? {
    var current: JSONValue? = .object(self)
    for key in path.split(separator: ".") { current = current?[ByteString(String(key))] }
    return current
  }
}
