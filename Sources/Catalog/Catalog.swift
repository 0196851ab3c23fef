public import Bytes
public import IR

/// What we know about the outside world: the descriptors under Formats/, parsed once.
public struct Catalog: Sendable {
  public let architectures: [ArchitectureDescriptor]
  private let options: ConfigurationOptions

  /// Parses the embedded files. An error here is a mistake in Formats/, which the tests read too, or in `additional`.
  /// - Parameter additional: descriptors of the user's own; they come before ours where both know a name, and may inherit
  ///   from ours.
  public init(additional: [(name: String, bytes: [UInt8])] = []) throws(DescriptorError) {
    var files = additional.map { (path: $0.name, bytes: $0.bytes) }
    files += FormatFiles.all(in: "Architectures/")
    var objects: [(path: String, object: JSONObject)] = []
    for file in files { objects.append((file.path, try ArchitectureDescriptor.object(file.bytes, file: file.path))) }
    var architectures: [ArchitectureDescriptor] = []
    for (path, object) in objects {
      architectures.append(
        try ArchitectureDescriptor(object, file: path) { (family) throws(DescriptorError) in
          objects.last { $0.object["family"]?.string?.text == family }?.object
        })
    }
    self.architectures = architectures
    options = try ConfigurationOptions()
  }

  /// The family that a config.json names, by `model_type` first, then by `architectures`; where several share a type,
  /// the one that also knows the architecture.
  /// - Throws: also when the configuration has an option that changes what the model computes and that the family lacks.
  public func architecture(configuration: JSONObject) throws(CatalogError) -> ArchitectureDescriptor {
    let type = configuration["model_type"]?.string?.text
    let names = (configuration["architectures"]?.array ?? []).compactMap { $0.string?.text }
    let ofType = architectures.filter { architecture in type.map(architecture.modelTypes.contains) ?? false }
    let byName = { (candidates: [ArchitectureDescriptor]) in
      candidates.first { !$0.architectureNames.filter(names.contains).isEmpty }
    }
    // An old ChatGLM and a new one have the same names; only what else they say tells them apart.
    let fitting = ofType.filter { $0.fits(configuration) }
    guard let match = byName(fitting) ?? fitting.first ?? byName(ofType) ?? ofType.first ?? byName(architectures) else {
      throw .unknownFamily(found: type ?? names.first ?? "(none named)", known: architectures.flatMap(\.modelTypes))
    }
    try options.check(configuration, known: match.configurationPaths)
    return match
  }

  /// The family of a GGUF file, by `general.architecture` and what else its metadata says.
  public func architecture(gguf metadata: Metadata) throws(CatalogError) -> ArchitectureDescriptor {
    let name = metadata["general.architecture"]?.string?.text ?? "(none named)"
    let family = metadata["quern.family"]?.string?.text
    let candidates = architectures.filter { $0.ggufArchitecture == name }
    if let match = candidates.first(where: { $0.family == family }) ?? candidates.first(where: { $0.fits(metadata) }) {
      return match
    }
    throw .unknownFamily(
      found: name,
      known: architectures.compactMap(\.ggufArchitecture).reduce(into: []) { known, name in
        if !known.contains(name) { known.append(name) }
      })
  }

  public func architecture(family: String) -> ArchitectureDescriptor? { architectures.first { $0.family == family } }
}

extension ArchitectureDescriptor {
  /// Whether a config.json of the family's type meets its conditions.
  fileprivate func fits(_ configuration: JSONObject) -> Bool {
    configurationConditions.allSatisfy { condition in
      guard let value = configuration.value(atPath: condition.key), !value.isNull else {
        return condition.values.contains("absent")
      }
      return condition.values.contains("present") || condition.values.contains(value.plainText)
    }
  }

  /// Whether a GGUF file's metadata meets the family's conditions.
  fileprivate func fits(_ metadata: Metadata) -> Bool {
    ggufConditions.allSatisfy { condition in
      let key = "\(ggufArchitecture ?? "").\(condition.key)"
      guard let value = metadata[ByteString(key)] ?? metadata[ByteString(condition.key)] else {
        return condition.values.contains("absent")
      }
      let text = value.string?.text ?? value.int.map(String.init) ?? value.bool.map(String.init) ?? "other"
      return condition.values.contains("present") || condition.values.contains(text)
    }
  }
}
