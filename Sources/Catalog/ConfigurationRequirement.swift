public import Bytes

/// A key of config.json that changes what a model computes, with the values for which the family's graph is right.
struct ConfigurationRequirement: Sendable {
  let path: String
  let values: [JSONValue]

  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    path = try reader.text("huggingFace")
    guard let values = json["values"]?.array else { throw reader.problem("values") }
    self.values = values
  }

  init(path: String, values: [JSONValue]) {
    self.path = path
    self.values = values
  }

  /// - Throws: `unsupportedOption` when the key is there with another value.
  func check(_ configuration: JSONObject) throws(CatalogError) {
    guard let found = configuration.value(atPath: path), !found.isNull else { return }
    guard values.contains(where: { Self.equal($0, found) }) else {
      throw .unsupportedOption(
        key: path, found: found.plainText, supported: values.map(\.plainText))
    }
  }

  private static func equal(_ a: JSONValue, _ b: JSONValue) -> Bool {
    if let x = a.double, let y = b.double { return x == y }
    return a.plainText == b.plainText
  }
}

/// Keys of config.json that change what some family computes (Formats/Configuration/options.json). A family that does not
/// read such a key refuses every value but the neutral ones: ignoring it would give another model without a word.
struct ConfigurationOptions: Sendable {
  private let requirements: [ConfigurationRequirement]

  init() throws(DescriptorError) {
    var requirements: [ConfigurationRequirement] = []
    for file in FormatFiles.all(in: "Configuration/") {
      let object = try ArchitectureDescriptor.object(file.bytes, file: file.path)
      for member in object.members {
        guard let values = member.value.array else { throw .invalid(file: file.path, key: member.key.text) }
        requirements.append(ConfigurationRequirement(path: member.key.text, values: values))
      }
    }
    self.requirements = requirements
  }

  /// - Parameter known: paths that the family reads or restricts itself.
  func check(_ configuration: JSONObject, known: [String]) throws(CatalogError) {
    for requirement in requirements {
      let isKnown = known.contains { $0 == requirement.path || $0.hasPrefix(requirement.path + ".") }
      if !isKnown { try requirement.check(configuration) }
    }
  }
}
