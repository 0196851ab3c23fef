public import Bytes

/// What we know about the outside world: the descriptors under Formats/, parsed once.
public struct Catalog: Sendable {
  public let architectures: [ArchitectureDescriptor]

  /// Parses the embedded files. An error here is a mistake in Formats/, which the tests read too.
  public init() throws(DescriptorError) {
    var architectures: [ArchitectureDescriptor] = []
    for file in FormatFiles.all(in: "Architectures/") {
      architectures.append(try ArchitectureDescriptor(parsing: file.bytes, file: file.path))
    }
    self.architectures = architectures
  }

  /// The family that a config.json names, by `model_type` first, then by `architectures`.
  public func architecture(configuration: JSONObject) throws(CatalogError) -> ArchitectureDescriptor {
    let type = configuration["model_type"]?.string?.text
    let names = (configuration["architectures"]?.array ?? []).compactMap { $0.string?.text }
    if let type, let match = architectures.first(where: { $0.modelTypes.contains(type) }) { return match }
    if let match = architectures.first(where: { !$0.architectureNames.filter(names.contains).isEmpty }) { return match }
    throw .unknownFamily(found: type ?? names.first ?? "(none named)", known: architectures.flatMap(\.modelTypes))
  }

  /// The family that `general.architecture` names.
  public func architecture(gguf name: String) throws(CatalogError) -> ArchitectureDescriptor {
    if let match = architectures.first(where: { $0.ggufArchitecture == name }) { return match }
    throw .unknownFamily(found: name, known: architectures.compactMap(\.ggufArchitecture))
  }

  public func architecture(family: String) -> ArchitectureDescriptor? { architectures.first { $0.family == family } }
}
