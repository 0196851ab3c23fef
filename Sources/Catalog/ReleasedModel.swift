public import Bytes
public import IR

/// A released model by name, known without its files: dimensions and tensors (Formats/Checkpoints).
public struct ReleasedModel: Sendable {
  public struct Tensor: Hashable, Sendable {
    /// Canonical.
    public let name: ByteString
    public let shape: Shape
  }

  /// As people write it: `llama-2-70b`.
  public let name: String
  public let family: String
  public let hyperparameters: Hyperparameters
  public let tensors: [Tensor]
  /// What it was released in.
  public let format: BlockFormat
  /// The count that the table states; a test holds it against the tensors.
  public let statedParameterCount: Int
  /// Where the dimensions are from.
  public let source: String
  /// It generates token by token.
  public let isCausal: Bool

  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.elementCount } }
}

/// The checkpoints under Formats/Checkpoints, found by name.
public struct ReleasedModels: Sendable {
  private struct Entry: Sendable {
    let name: String
    let aliases: [String]
    let json: JSONObject
    let table: JSONObject
    let file: String
  }

  private let entries: [Entry]
  private let catalog: Catalog

  /// Reads the tables; a checkpoint's tensors are made when it is asked for.
  public init(_ catalog: Catalog) throws(DescriptorError) {
    self.catalog = catalog
    var entries: [Entry] = []
    for file in FormatFiles.all(in: "Checkpoints/") {
      let json: JSONValue
      do { json = try JSONValue.parse(file.bytes) } catch { throw .invalid(file: file.path, key: "\(error)") }
      guard let table = json.object else { throw .invalid(file: file.path, key: "object") }
      for object in try DescriptorReader(table, in: file.path).objects("checkpoints") {
        let reader = DescriptorReader(object, in: file.path)
        entries.append(
          Entry(
            name: try reader.text("name"), aliases: try reader.texts("aliases") ?? [], json: object, table: table,
            file: file.path))
      }
    }
    self.entries = entries
  }

  public var names: [String] { entries.map(\.name) }

  /// The checkpoint of this name or alias; case and punctuation do not matter, nor does what stands before a slash.
  /// Nil when there is none.
  public func model(named name: String) throws(DescriptorError) -> ReleasedModel? {
    let wanted = Self.plain(name)
    guard !wanted.isEmpty,
      let entry = entries.first(where: { ([$0.name] + $0.aliases).contains { Self.plain($0) == wanted } })
    else { return nil }
    return try checkpoint(entry)
  }

  public func all() throws(DescriptorError) -> [ReleasedModel] {
    var result: [ReleasedModel] = []
    for entry in entries { result.append(try checkpoint(entry)) }
    return result
  }

  /// Letters and digits in lower case, after the last slash.
  private static func plain(_ name: String) -> String {
    let last = name.split(separator: "/").last ?? ""
    return String(last.lowercased().filter { $0.isASCII && ($0.isLetter || $0.isNumber) })
  }

  private func checkpoint(_ entry: Entry) throws(DescriptorError) -> ReleasedModel {
    let reader = DescriptorReader(entry.json, in: entry.file)
    let table = DescriptorReader(entry.table, in: entry.file)
    let ownFamily = entry.json["family"]?.string?.text
    let family = if let ownFamily { ownFamily } else { try table.text("family") }
    guard let format = BlockFormat.named(try reader.text("type")) else { throw reader.problem("type") }
    guard let statedCount = entry.json["parameters"]?.int else { throw reader.problem("parameters") }
    let source = try reader.text("source")
    if entry.table["tensors"] == nil {
      // The family's descriptor knows the rest.
      guard let architecture = try catalog.architecture(family: family) else { throw table.problem("family") }
      let stated: HyperparameterSource
      if let configuration = entry.json["configuration"]?.object {
        stated = .huggingFace(configuration)
      } else {
        stated = .canonical(try self.hyperparameters(entry, reader))
      }
      let hyperparameters: Hyperparameters
      do { hyperparameters = try architecture.readHyperparameters(from: stated, tensors: nil) } catch {
        throw .invalid(file: entry.file, key: "\(entry.name): \(error)")
      }
      return ReleasedModel(
        name: entry.name, family: family, hyperparameters: hyperparameters,
        tensors: architecture.instances(in: hyperparameters).map { .init(name: $0.name, shape: $0.shape) },
        format: format, statedParameterCount: statedCount, source: source,
        isCausal: architecture.graph.kind != .encoder)
    }
    let hyperparameters = try self.hyperparameters(entry, reader)
    var tensors: [ReleasedModel.Tensor] = []
    let names = NameVariants(optionalPrefixes: [], oldWords: [])
    for object in try table.objects("tensors") {
      let rule = try TensorRule(object, names: names, in: entry.file)
      let layerCount = rule.name.isPerLayer ? hyperparameters.integer("block_count") ?? 0 : 1
      for layer in 0..<layerCount where rule.exists(in: hyperparameters, layer: layer) {
        guard let shape = rule.shape(in: hyperparameters, layer: layer) else { throw table.problem("shape") }
        tensors.append(.init(name: rule.name.name(layer: layer), shape: shape))
      }
    }
    return ReleasedModel(
      name: entry.name, family: family, hyperparameters: hyperparameters, tensors: tensors, format: format,
      statedParameterCount: statedCount, source: source,
      isCausal: hyperparameters.bool("attention.causal") ?? true)
  }

  /// What the table says for all, then what the checkpoint says.
  private func hyperparameters(_ entry: Entry, _ reader: DescriptorReader) throws(DescriptorError) -> Hyperparameters {
    var result = Hyperparameters()
    for object in [entry.table["hyperparameters"]?.object, entry.json["hyperparameters"]?.object] {
      for member in object?.members ?? [] {
        let name = member.key.text
        if let value = member.value.bool {
          result[name] = .bool(value)
        } else if let value = member.value.int {
          result[name] = .integer(value)
        } else if let text = member.value.string?.text, let value = Expression(text)?.value({ result.integer($0) }) {
          result[name] = .integer(value)
        } else {
          throw reader.problem(name)
        }
      }
    }
    return result
  }
}
