public import Bytes
public import IR

extension ArchitectureDescriptor {
  /// Who named the tensors.
  public enum Naming: Sendable {
    case huggingFace
    /// GGUF's names, which are the canonical ones.
    case gguf
  }

  /// The canonical name of a stored tensor, or nil when no rule knows it.
  public func canonicalName(of name: ByteString, naming: Naming) -> ByteString? {
    if naming == .gguf { return tensors.contains { $0.name.matches(name) } ? name : nil }
    for rule in tensors {
      for pattern in rule.huggingFace where pattern.matches(name) {
        let digits = name.bytes.split { !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        for part in digits {
          guard let layer = Int(String(decoding: part, as: UTF8.self)) else { continue }
          if pattern.name(layer: layer) == name { return rule.name.name(layer: layer) }
        }
        return rule.name.name(layer: 0)
      }
    }
    return nil
  }

  /// Gives every stored tensor its canonical name and order, and accounts for all of them.
  /// - Throws: `leftovers` with all differences when the tensors are not exactly the family's.
  public func match(
    _ stored: [TensorRef], naming: Naming, hyperparameters: Hyperparameters
  ) throws(CatalogError) -> (tensors: [TensorRef], report: MatchReport) {
    var report = MatchReport()
    var wanted: [ByteString: TensorInstance] = [:]
    let instances = instances(in: hyperparameters)
    for instance in instances {
      for name in naming == .gguf ? [instance.name] : instance.huggingFaceNames { wanted[name] = instance }
    }
    var found: Set<ByteString> = []
    var tensors: [TensorRef] = []
    for tensor in stored {
      guard let instance = wanted[tensor.sourceName] else {
        if let rule = ignoreRule(for: tensor.sourceName, naming: naming, hyperparameters: hyperparameters) {
          report.ignored.append(.init(name: tensor.sourceName, rule: rule.reason))
        } else {
          report.unexpected.append(tensor.sourceName)
        }
        continue
      }
      guard tensor.shape == instance.shape else {
        report.mismatched.append(.init(name: tensor.sourceName, expected: instance.shape, found: tensor.shape))
        found.insert(instance.name)
        continue
      }
      guard found.insert(instance.name).inserted else {
        report.unexpected.append(tensor.sourceName)
        continue
      }
      report.consumed.append(tensor.sourceName)
      tensors.append(canonical(tensor, instance, naming: naming, hyperparameters: hyperparameters))
    }
    report.missing = instances.filter { !found.contains($0.name) }.map {
      naming == .gguf ? $0.name : $0.huggingFaceNames.first ?? $0.name
    }
    if !report.problems.isEmpty { throw .leftovers(report) }
    return (tensors, report)
  }

  private func canonical(
    _ tensor: TensorRef, _ instance: TensorInstance, naming: Naming, hyperparameters: Hyperparameters
  ) -> TensorRef {
    var result = tensor
    result.name = instance.name
    if naming == .gguf, instance.rule.hasRotaryHeads, ggufRotaryOrder == .pairs,
      let headDimension = hyperparameters.integer("attention.key_length")
    {
      return result.reorderedHeads(to: .halves, headDimension: headDimension)
    }
    return result
  }

  private func ignoreRule(
    for name: ByteString, naming: Naming, hyperparameters: Hyperparameters
  ) -> IgnoreRule? {
    ignored.first { rule in
      if let when = rule.when, hyperparameters.bool(when) != true { return false }
      return (naming == .gguf ? rule.name : rule.huggingFace)?.matches(name) ?? false
    }
  }
}
