import Bytes
import Conversion
import IR
import Kernels
import Passes
import SystemPackage

/// The report beside a quantized model: what it was made from and how, and what that did to each tensor. It says nothing
/// that changes from run to run.
struct QuantizationReport {
  let opened: OpenedModel
  let plan: QuantizationPlan
  let importancePath: FilePath?
  let importance: Importance?

  /// Where it lies: `OUT.report.json`.
  static func path(beside output: FilePath) -> FilePath { FilePath(output.string + ".report.json") }

  /// The report, written and still without its name. It may replace that of an output that was there before.
  func file(_ result: ConversionResult, output: FilePath, warnings: [String]) throws(FileError) -> AtomicFile {
    let file = try AtomicFile(Self.path(beside: output), overwrites: true)
    let json = try json(result, output: output, warnings: warnings)
    try file.write(JSONValue.object(json).serialized(pretty: true) + [UInt8(ascii: "\n")], at: 0)
    return file
  }

  private func json(_ result: ConversionResult, output: FilePath, warnings: [String]) throws(FileError) -> JSONObject {
    let steps = Dictionary(plan.steps.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    return [
      "tool": .object(["name": .text("quern"), "version": .text(Quern.configuration.version)]),
      "source": .array(try Self.hashes(of: sourcePaths)),
      "recipe": plan.recipe.map { .text($0) } ?? .null,
      "calibration": try calibration(),
      "output": .object([
        "name": .text(output.lastComponent?.string ?? ""), "container": .text(result.container.rawValue),
        "fileBytes": .integer(result.fileByteCount), "bitsPerWeight": .double(result.bitsPerWeight),
      ]),
      "warnings": .array(warnings.map { .text($0) }),
      "tensors": .array(
        result.tensors.map { tensor in
          let step = steps[tensor.name]
          var row: JSONObject = [
            "name": .string(tensor.name),
            "shape": .array((step?.shape.dimensions ?? []).map { .integer($0) }),
            "from": .text(tensor.from.name), "type": .text(tensor.storedAs),
            "bytes": .integer(step.map { plan.byteCount(of: $0) } ?? 0),
          ]
          row["relativeError"] = tensor.relativeError.map { .double($0) }
          row["because"] = step.map { .text($0.reason) }
          return .object(row)
        }),
    ]
  }

  /// The files whose bytes the output depends on.
  private var sourcePaths: [FilePath] {
    let checkpoint = opened.checkpoint
    let files = checkpoint.tensors.compactMap { ($0.source as? FileTensorSource)?.file.path }
    let all = Set(files + [checkpoint.configurationPath] + (files.isEmpty ? [checkpoint.path] : []))
    return all.filter { FileSystem.exists($0) }.sorted { $0.string < $1.string }
  }

  private func calibration() throws(FileError) -> JSONValue {
    guard let importancePath, let importance else { return .null }
    return .object([
      "importance": try Self.hashes(of: [importancePath]).first ?? .null,
      "datasets": .texts(importance.datasets), "chunks": .integer(importance.chunkCount),
      "chunkSize": .integer(importance.chunkSize),
    ])
  }

  /// Name, size and SHA-256 of files.
  private static func hashes(of paths: [FilePath]) throws(FileError) -> [JSONValue] {
    var rows: [JSONValue] = []
    for path in paths {
      let file = try InputFile(path)
      var hash = SHA256()
      let piece = 1 << 20
      for offset in stride(from: 0, to: file.byteCount, by: piece) {
        hash.update(try file.read(at: offset, count: min(piece, file.byteCount - offset)))
      }
      rows.append(
        .object([
          "name": .text(path.lastComponent?.string ?? path.string), "bytes": .integer(file.byteCount),
          "sha256": .text(hash.hexadecimal),
        ]))
    }
    return rows
  }
}

/// What a user should look at before trusting the output.
enum QuantizationWarnings {
  /// Before the work: tensors that lost something already.
  static func before(_ plan: QuantizationPlan) -> [String] {
    let again = plan.steps.filter { $0.from.kind == .packed && $0.to != $0.from && $0.to.kind == .packed }
    guard let first = again.first else { return [] }
    return [
      "\(again.count) tensors are quantized already (\(first.name) as \(first.from.name)), and quantizing again adds to "
        + "what they lost; start from the full-precision model where you can"
    ]
  }

  /// After it: heads of few bits, and tensors that lost much more than others of their type.
  static func after(_ result: ConversionResult) -> [String] {
    var warnings: [String] = []
    let packed = result.tensors.filter { $0.from != $0.to && $0.to.kind == .packed && $0.relativeError != nil }
    let hasHead = packed.contains { $0.name == "output.weight" }
    for tensor in packed where tensor.name == "output.weight" || (!hasHead && tensor.name == "token_embd.weight") {
      guard tensor.to.bitsPerElement < 4 else { continue }
      warnings.append(
        "the output head \(tensor.name) has \(Format.fixed(tensor.to.bitsPerElement, 1)) bits a weight, and every "
          + "answer passes through it; --tensor '^\(tensor.name)$=q6_k' costs little")
    }
    for format in Set(packed.map(\.to)).sorted(by: { $0.name < $1.name }) {
      let group = packed.filter { $0.to == format }
      let errors = group.compactMap(\.relativeError).sorted()
      guard group.count >= 4, let largest = group.max(by: { ($0.relativeError ?? 0) < ($1.relativeError ?? 0) }),
        let error = largest.relativeError
      else { continue }
      let median = errors[errors.count / 2]
      guard error > 0.02, error > 1.75 * median else { continue }
      warnings.append(
        "\(largest.name) loses \(Format.percent(error)) as \(format.name), where others lose \(Format.percent(median)); "
          + "give it more bits with --tensor")
    }
    return warnings
  }
}
