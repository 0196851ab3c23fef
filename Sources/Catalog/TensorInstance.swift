public import Bytes
public import IR

/// One tensor that a model must have.
public struct TensorInstance: Sendable {
  public let rule: TensorRule
  /// Canonical.
  public let name: ByteString
  public let layer: Int
  public let shape: Shape
  /// The ways in which a checkpoint of Hugging Face may store it, the published one first.
  let sources: [Source]

  /// One of them, with numbers for symbols.
  struct Source: Sendable {
    /// One, or one for each expert.
    let names: [ByteString]
    /// Of each.
    let shape: Shape
    let transforms: [TensorTransform.Resolved]
    /// Whether the names are experts to be stacked.
    let isStack: Bool
  }

  /// The names of the published way.
  public var huggingFaceNames: [ByteString] { sources.first?.names ?? [] }
}

extension ArchitectureDescriptor {
  /// Every tensor a model with these hyperparameters has: one per layer for the patterns.
  /// Rules whose shape has no value are left out; `Matching` reports them.
  public func instances(in hyperparameters: Hyperparameters) -> [TensorInstance] {
    var result: [TensorInstance] = []
    for rule in tensors {
      let count = rule.name.isPerLayer ? rule.layerCount.value(hyperparameters.symbols()) ?? 0 : 1
      for layer in 0..<max(0, min(count, Self.mostLayers)) where rule.exists(in: hyperparameters, layer: layer) {
        guard let shape = rule.shape(in: hyperparameters, layer: layer) else { continue }
        let lookup = hyperparameters.symbols(layer: layer)
        result.append(
          TensorInstance(
            rule: rule, name: rule.name.name(lookup), layer: layer, shape: shape,
            sources: rule.huggingFace.compactMap { $0.resolved(for: shape, layer: layer, in: hyperparameters) }))
      }
    }
    return result
  }
}

extension SourceRule {
  /// Nil when a symbol has no value, or the shapes do not go together.
  func resolved(for canonical: Shape, layer: Int, in hyperparameters: Hyperparameters) -> TensorInstance.Source? {
    let lookup = hyperparameters.symbols(layer: layer)
    var steps: [TensorTransform.Resolved] = []
    for transform in transforms {
      guard let step = transform.resolved(lookup) else { return nil }
      steps.append(step)
    }
    var names = [pattern.name(lookup)]
    var shape: Shape? = canonical
    if pattern.isPerExpert {
      guard let experts = canonical.dimensions.first, canonical.dimensions.count > 1 else { return nil }
      names = (0..<experts).map { pattern.name(hyperparameters.symbols(layer: layer, expert: $0)) }
      shape = Shape(Array(canonical.dimensions.dropFirst()))
    }
    for step in steps.reversed() { shape = shape.flatMap { step.shape(before: $0) } }
    if let stated = self.shape {
      var dimensions: [Int] = []
      for expression in stated {
        guard let value = expression.value(lookup) else { return nil }
        dimensions.append(value)
      }
      shape = Shape(dimensions)
    }
    guard let shape else { return nil }
    return .init(names: names, shape: shape, transforms: steps, isStack: pattern.isPerExpert)
  }
}

extension TensorInstance.Source {
  /// The canonical tensor made of the stored ones.
  func canonical(_ stored: [TensorRef], _ instance: TensorInstance, cache: PanelCache) -> TensorRef {
    var parts = stored
    for step in transforms { parts = parts.map { step.apply(to: $0, cache: cache) } }
    var result = parts[0]
    if isStack { result.source = ConcatenatedRows(parts) }
    result.name = instance.name
    result.sourceName = stored[0].sourceName
    result.shape = instance.shape
    if !(transforms.isEmpty && !isStack) { result.source = DerivedSource(result.source, origins: stored) }
    return result
  }
}
