import ArgumentParser
import Bytes
import Conversion
import IR
import SystemPackage
import Tokenizers

struct Inspect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what is in a model: family, dimensions, tokenizer, tensors.",
    discussion: """
      Reads headers only, so it is immediate whatever the model's size. Any container that `quern containers` lists is \
      read, by its content; where no family matches, the tensors are listed under the file's own names.
      """)

  @Argument(help: "A Hugging Face directory, a file of any container, or config.json.")
  var model: FilePath

  @Flag(help: "List every tensor.")
  var tensors = false

  @Flag(help: "List the container's metadata.")
  var metadata = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let found = try OpenedCheckpoint(model, common)
    if common.json { return printJSON(json(found)) }
    print(summary(found))
    // Without a family the names are all there is to see.
    if tensors || found.opened == nil { print("\n" + tensorTable(found.model).text()) }
    if metadata {
      print()
      for entry in found.checkpoint.metadata.entries { print("\(entry.key) = \(Self.shown(entry.value))") }
    }
  }

  private func summary(_ found: OpenedCheckpoint) -> String {
    let model = found.model
    let family =
      switch found {
      case .model(let opened): "\(model.family), \(opened.architecture.summary)"
      case .tensors(_, .unrecognized(_, let detail)): "none: \(detail)"
      case .tensors(_, .catalog(_, let error)): "none: \(error)".split(separator: "\n").first.map(String.init) ?? ""
      case .tensors: "none"
      }
    var lines = [
      "\(found.checkpoint.path)",
      "  family      \(family)",
      "  container   \(found.checkpoint.container.rawValue), \(Format.bytes(found.checkpoint.fileByteCount))",
      "  parameters  \(Format.count(model.parameterCount)) (\(Format.grouped(model.parameterCount))) in \(model.tensors.count) tensors",
      "  types       "
        + encodings(model).map { "\($0.tensors) × \($0.format.name) (\(Format.bytes($0.bytes)))" }.joined(
          separator: ", "),
      "  bits        \(Format.fixed(Double(model.tensorByteCount) * 8 / Double(max(1, model.parameterCount)), 2)) per weight",
    ]
    for note in found.checkpoint.notes { lines.append("  note        \(note)") }
    if let tokenizer = model.tokenizer {
      lines.append("  tokenizer   \(tokenizer.algorithm.rawValue), \(Format.grouped(tokenizer.tokens.count)) tokens")
    }
    guard let opened = found.opened else { return lines.joined(separator: "\n") }
    if !opened.report.ignored.isEmpty {
      lines.append("  ignored     " + opened.report.ignored.map { "\($0.name) (\($0.rule))" }.joined(separator: ", "))
    }
    lines.append("  dimensions")
    let unremarkable = Dictionary(
      uniqueKeysWithValues: opened.architecture.hyperparameters.map { ($0.name, $0.omitted) })
    for entry in model.hyperparameters.entries where unremarkable[entry.name] != .some(entry.value) {
      lines.append("    \(entry.name) = \(Self.shown(entry.value))")
    }
    return lines.joined(separator: "\n")
  }

  private func encodings(_ model: Model) -> [(format: BlockFormat, tensors: Int, bytes: Int)] {
    BlockFormat.all.compactMap { format in
      let matching = model.tensors.filter { $0.format == format }
      return matching.isEmpty ? nil : (format, matching.count, matching.reduce(0) { $0 + $1.byteCount })
    }
  }

  private func tensorTable(_ model: Model) -> Table {
    var table = Table([
      .init(title: "tensor", isFlexible: true), .init(title: "shape"), .init(title: "type"),
      .init(title: "bytes", alignsRight: true),
    ])
    for tensor in model.tensors {
      table.add(tensor.name.text, "\(tensor.shape)", tensor.format.name, Format.grouped(tensor.byteCount))
    }
    return table
  }

  private func json(_ found: OpenedCheckpoint) -> JSONObject {
    let model = found.model
    var counts = JSONObject()
    for row in encodings(model) { counts[ByteString(row.format.name)] = .integer(row.tensors) }
    var hyperparameters = JSONObject()
    for entry in model.hyperparameters.entries { hyperparameters[ByteString(entry.name)] = Self.json(entry.value) }
    var result: JSONObject = [
      "architecture": model.family.isEmpty ? .null : .text(model.family),
      "parameterCount": .integer(model.parameterCount),
      "tensorCount": .integer(model.tensors.count), "container": .text(found.checkpoint.container.rawValue),
      "fileBytes": .integer(found.checkpoint.fileByteCount), "encodings": .object(counts),
      "hyperparameters": .object(hyperparameters), "notes": .array(found.checkpoint.notes.map { .text($0) }),
    ]
    if let tokenizer = model.tokenizer {
      result["tokenizer"] = .object([
        "kind": .text(tokenizer.algorithm.rawValue), "vocabularySize": .integer(tokenizer.tokens.count),
      ])
    }
    result["tensors"] = .array(
      model.tensors.map { tensor in
        .object([
          "name": .string(tensor.name), "sourceName": .string(tensor.sourceName),
          "shape": .array(tensor.shape.dimensions.map { .integer($0) }), "type": .text(tensor.format.name),
          "byteCount": .integer(tensor.byteCount),
        ])
      })
    return result
  }

  static func json(_ value: Hyperparameters.Value) -> JSONValue {
    switch value {
    case .integer(let value): .integer(value)
    case .number(let value): .double(value)
    case .bool(let value): .bool(value)
    case .string(let value): .text(value)
    case .integers(let values): .array(values.map { .integer($0) })
    case .numbers(let values): .array(values.map { .double($0) })
    }
  }

  private static func shown(_ value: Hyperparameters.Value) -> String {
    switch value {
    case .numbers(let values) where values.count > 6: "\(values.count) numbers"
    case .integers(let values) where values.count > 6: "\(values.count) integers"
    default: String(decoding: json(value).serialized(), as: UTF8.self)
    }
  }

  private static func shown(_ value: MetadataValue) -> String {
    if let array = value.array { return "\(array.count) values" }
    if let text = value.string { return text.count > 60 ? "\(text.count) bytes of text" : "\"\(text)\"" }
    return value.int.map(String.init) ?? value.bool.map { "\($0)" } ?? value.double.map { "\($0)" } ?? "?"
  }
}
