public import Bytes
public import IR

/// What we know about the outside world: the descriptors under Formats/. Each says how its family is recognised; the rest
/// of it is read when it is asked for.
public struct Catalog: Sendable {
  private struct Entry: Sendable {
    let path: String
    let bytes: [UInt8]
    let recognition: Recognition
  }

  private let entries: [Entry]
  private let options: ConfigurationOptions

  /// - Parameter additional: descriptors of the user's own; they come before ours where both know a name, and may inherit
  ///   from ours.
  /// - Throws: for any mistake in `additional`; ours are read by the tests.
  public init(additional: [(name: String, bytes: [UInt8])] = []) throws(DescriptorError) {
    let files = additional.map { (path: $0.name, bytes: $0.bytes) } + FormatFiles.all(in: "Architectures/")
    var heads: [JSONObject] = []
    for (number, file) in files.enumerated() {
      // A user's file is to be one JSON text from end to end.
      heads.append(
        number < additional.count
          ? try ArchitectureDescriptor.object(file.bytes, file: file.path)
          : try Recognition.head(of: file.bytes, file: file.path))
    }
    var entries: [Entry] = []
    for (file, head) in zip(files, heads) {
      let whole = try ArchitectureDescriptor.inherited(head, file: file.path) { (family) throws(DescriptorError) in
        heads.last { $0["family"]?.string?.text == family }
      }
      entries.append(
        Entry(path: file.path, bytes: file.bytes, recognition: try Recognition(whole, in: file.path)))
    }
    self.entries = entries
    options = try ConfigurationOptions()
    for entry in entries.prefix(additional.count) { _ = try descriptor(entry) }
  }

  private func descriptor(_ entry: Entry) throws(DescriptorError) -> ArchitectureDescriptor {
    try ArchitectureDescriptor(parsing: entry.bytes, file: entry.path) { (family) throws(DescriptorError) in
      guard let base = entries.last(where: { $0.recognition.family == family }) else { return nil }
      return try ArchitectureDescriptor.object(base.bytes, file: base.path)
    }
  }

  /// All of them, read to the end.
  public func architectures() throws(DescriptorError) -> [ArchitectureDescriptor] {
    var result: [ArchitectureDescriptor] = []
    for entry in entries { result.append(try descriptor(entry)) }
    return result
  }

  /// The family that a config.json names, by `model_type` first, then by `architectures`; where several share a type,
  /// the one that also knows the architecture.
  /// - Throws: also when the configuration has an option that changes what the model computes and that the family lacks.
  public func architecture(configuration: JSONObject) throws(CatalogError) -> ArchitectureDescriptor {
    let type = configuration["model_type"]?.string?.text
    let names = (configuration["architectures"]?.array ?? []).compactMap { $0.string?.text }
    let ofType = entries.filter { entry in type.map(entry.recognition.modelTypes.contains) ?? false }
    let byName = { (candidates: [Entry]) in
      candidates.first { !$0.recognition.architectureNames.filter(names.contains).isEmpty }
    }
    // An old ChatGLM and a new one have the same names; only what else they say tells them apart.
    let fitting = ofType.filter { $0.recognition.fits(configuration) }
    guard let entry = byName(fitting) ?? fitting.first ?? byName(ofType) ?? ofType.first ?? byName(entries) else {
      throw .unknownFamily(
        found: type ?? names.first ?? "(none named)", known: entries.flatMap(\.recognition.modelTypes))
    }
    let match: ArchitectureDescriptor
    do { match = try descriptor(entry) } catch { throw .descriptor(error) }
    try options.check(configuration, known: match.configurationPaths)
    return match
  }

  /// The family of a GGUF file, by `general.architecture` and what else its metadata says.
  public func architecture(gguf metadata: Metadata) throws(CatalogError) -> ArchitectureDescriptor {
    let name = metadata["general.architecture"]?.string?.text ?? "(none named)"
    let family = metadata["quern.family"]?.string?.text
    let candidates = entries.filter { $0.recognition.ggufArchitecture == name }
    guard
      let entry = candidates.first(where: { $0.recognition.family == family })
        ?? candidates.first(where: { $0.recognition.fits(metadata) })
    else {
      throw .unknownFamily(
        found: name,
        known: entries.compactMap(\.recognition.ggufArchitecture).reduce(into: []) { known, name in
          if !known.contains(name) { known.append(name) }
        })
    }
    do { return try descriptor(entry) } catch { throw .descriptor(error) }
  }

  public func knows(family: String) -> Bool { entries.contains { $0.recognition.family == family } }

  /// Nil when there is no such family.
  public func architecture(family: String) throws(DescriptorError) -> ArchitectureDescriptor? {
    guard let entry = entries.first(where: { $0.recognition.family == family }) else { return nil }
    return try descriptor(entry)
  }
}
