public import Bytes
public import IR

/// Where a family's hyperparameters are read from.
public enum HyperparameterSource: Sendable {
  /// config.json.
  case huggingFace(JSONObject)
  /// GGUF metadata, keys prefixed with the architecture's name; `quern.` holds what llama.cpp has no key for.
  case gguf(Metadata, architecture: String)
  /// Some of them under their canonical names: a table of ours.
  case canonical(Hyperparameters)
}

extension ArchitectureDescriptor {
  /// Reads and checks every hyperparameter of the family.
  /// - Parameter tensors: shapes of the canonical tensors that are stored, or nil when only a configuration is known.
  public func readHyperparameters(
    from source: HyperparameterSource, tensors: [ByteString: Shape]?
  ) throws(CatalogError) -> Hyperparameters {
    if case .huggingFace(let configuration) = source {
      for requirement in requirements { try requirement.check(configuration) }
    }
    var result = Hyperparameters()
    for rule in hyperparameters {
      if let value = try stated(rule, in: source, given: result) {
        result[rule.name] = value
      } else if let value = defaultValue(rule, in: source, given: result, tensors: tensors) {
        result[rule.name] = value
      } else if case .none = rule.fallback {
        continue
      } else {
        throw .missingHyperparameter(name: rule.name, keys: keys(of: rule, in: source))
      }
      if case .integer(let value)? = result[rule.name],
        !(0...Self.largestInteger).contains(value) || value == 0 && Self.neverZero.contains(rule.name)
      {
        throw impossible(rule, "\(value)", in: source)
      }
      if let allowed = rule.allowed, let value = result.string(rule.name), !allowed.contains(value) {
        throw .unsupportedOption(
          key: keys(of: rule, in: source).first ?? rule.name, found: value, supported: allowed)
      }
    }
    for (name, most) in Self.limits {
      if let value = result.integer(name), value > most, let rule = hyperparameters.first(where: { $0.name == name }) {
        throw impossible(rule, "\(value)", in: source)
      }
    }
    if self.tensors.contains(where: \.hasRotaryHeads), let length = result.integer("attention.key_length"),
      length % 2 != 0, let rule = hyperparameters.first(where: { $0.name == "attention.key_length" })
    {
      throw impossible(rule, "\(length)", in: source)
    }
    return result
  }

  /// Far above any released model, far below what would make sizes overflow or loops endless.
  private static let largestInteger = 1 << 32
  static let mostLayers = 10_000
  private static let limits = [
    ("block_count", mostLayers), ("decoder_block_count", mostLayers), ("expert_count", 1 << 16),
    ("block.group_count", mostLayers), ("block.inner_count", mostLayers),
  ]
  private static let neverZero = [
    "attention.head_count", "attention.head_count_kv", "attention.key_length", "embedding_length",
  ]

  private func impossible(
    _ rule: HyperparameterRule, _ found: String, in source: HyperparameterSource
  ) -> CatalogError {
    .invalidHyperparameter(name: rule.name, key: keys(of: rule, in: source).first ?? rule.name, found: found)
  }

  private func keys(of rule: HyperparameterRule, in source: HyperparameterSource) -> [String] {
    switch source {
    case .huggingFace: rule.huggingFace
    case .gguf(_, let architecture): rule.ggufKeys(architecture)
    case .canonical: [rule.name]
    }
  }

  /// What the source says, or nil when it says nothing.
  private func stated(
    _ rule: HyperparameterRule, in source: HyperparameterSource, given known: Hyperparameters
  ) throws(CatalogError) -> Hyperparameters.Value? {
    if let when = rule.when, (when.value(known.symbols()) ?? 0) == 0 { return nil }
    switch source {
    case .huggingFace(let configuration):
      for path in rule.huggingFace {
        guard let json = configuration.value(atPath: path), !json.isNull else { continue }
        guard var value = rule.read(json, blockCount: known.integer("block_count")) else {
          throw .invalidHyperparameter(name: rule.name, key: path, found: json.plainText)
        }
        if let surplus = rule.surplus, case .integer(let stated) = value {
          value = .integer(stated - (surplus.value(known.symbols()) ?? 0))
        }
        return value
      }
      for path in rule.share?.huggingFace ?? [] {
        guard let json = configuration.value(atPath: path), !json.isNull else { continue }
        guard let factor = json.double, factor > 0, factor <= 1,
          let whole = rule.share?.whole.value(known.symbols())
        else { throw impossible(rule, "\(json.plainText) (\(path))", in: source) }
        return .integer(Int(Double(whole) * factor))
      }
    case .gguf(let metadata, let architecture):
      for key in rule.ggufKeys(architecture) + ["quern.\(rule.name)"] {
        guard let entry = metadata[ByteString(key)] else { continue }
        guard let value = rule.read(entry) else {
          if rule.isSharedInGGUF { continue }
          throw .invalidHyperparameter(name: rule.name, key: key, found: "\(entry)")
        }
        return value
      }
    case .canonical(let values): return values[rule.name]
    }
    return nil
  }

  private func defaultValue(
    _ rule: HyperparameterRule, in source: HyperparameterSource, given known: Hyperparameters,
    tensors: [ByteString: Shape]?
  ) -> Hyperparameters.Value? {
    var fallback = rule.fallback
    if case .gguf = source { fallback = rule.ggufFallback ?? fallback }
    switch fallback {
    case .required, .none: return nil
    case .value(let value): return value
    case .expression(let expression):
      guard let value = expression.value(known.symbols()) else { return nil }
      return rule.type == .bool ? .bool(value != 0) : rule.type == .number ? .number(Double(value)) : .integer(value)
    case .squareRoot(let expression):
      return expression.value(known.symbols()).map { .number(Double($0).squareRoot()) }
    case .product(let name, let factor): return known.number(name).map { .number($0 * factor) }
    case .present(let name, let otherwise): return .bool(tensors.map { $0[name] != nil } ?? otherwise)
    case .absent(let name, let otherwise): return .bool(tensors.map { $0[name] == nil } ?? otherwise)
    case .inverseSquareRoot(let expression):
      return expression.value(known.symbols()).flatMap { $0 > 0 ? .number(1 / Double($0).squareRoot()) : nil }
    case .axis(let name, let position, let otherwise):
      guard let shape = tensors?[name], shape.dimensions.indices.contains(position) else {
        return otherwise.map { .integer($0) }
      }
      return .integer(shape.dimensions[position])
    }
  }

  /// Every path of config.json that the family reads or restricts.
  var configurationPaths: [String] {
    hyperparameters.flatMap { $0.huggingFace + ($0.share?.huggingFace ?? []) } + requirements.map(\.path)
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
