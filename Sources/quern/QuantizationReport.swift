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
  /// The text that the model read, and how; nil without.
  let calibration: CalibrationOptions?
  let windows: [[Int]]?
  /// Of the files whose bytes the output depends on.
  let digests: FileDigests

  init(
    opened: OpenedModel, plan: QuantizationPlan, importancePath: FilePath?, importance: Importance?,
    calibration: CalibrationOptions?, windows: [[Int]]?, begun: FileDigest?
  ) {
    self.opened = opened
    self.plan = plan
    self.importancePath = importancePath
    self.importance = importance
    self.calibration = calibration
    self.windows = windows
    digests = FileDigests(of: Self.sourcePaths(of: opened.checkpoint), begun: begun)
  }

  /// Where it lies: `OUT.report.json`.
  static func path(beside output: FilePath) -> FilePath { FilePath(output.string + ".report.json") }

  /// The report, written and still without its name. It may replace that of an output that was there before.
  /// - Parameter more: what was measured afterwards.
  func file(
    _ result: ConversionResult, output: FilePath, warnings: [String], more: JSONObject = [:]
  ) throws(FileError) -> AtomicFile {
    let file = try AtomicFile(Self.path(beside: output), overwrites: true)
    var json = try json(result, output: output, warnings: warnings)
    for member in more.members { json[member.key] = member.value }
    try file.write(JSONValue.object(json).serialized(pretty: true) + [UInt8(ascii: "\n")], at: 0)
    return file
  }

  private func json(_ result: ConversionResult, output: FilePath, warnings: [String]) throws(FileError) -> JSONObject {
    let steps = Dictionary(plan.steps.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    return [
      "tool": .object(["name": .text("quern"), "version": .text(Quern.configuration.version)]),
      "source": .array(try digests.rows()),
      "recipe": plan.recipe.map { .text($0) } ?? .null,
      "calibration": try calibrationRecord(),
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
          row["outputError"] = tensor.outputError.map { .double($0) }
          row["because"] = step.map { .text($0.reason) }
          return .object(row)
        }),
    ]
  }

  private static func sourcePaths(of checkpoint: Checkpoint) -> [FilePath] {
    let files = checkpoint.tensors.compactMap { ($0.source as? FileTensorSource)?.file.path }
    let all = Set(files + [checkpoint.configurationPath] + (files.isEmpty ? [checkpoint.path] : []))
    return all.filter { FileSystem.exists($0) }.sorted { $0.string < $1.string }
  }

  private func calibrationRecord() throws(FileError) -> JSONValue {
    if let calibration, let text = calibration.text, let windows {
      return .object([
        "text": calibration.isOwnText
          ? .object(["name": .text("self")]) : try FileDigest(of: text).result(),
        "method": .text(calibration.method.rawValue),
        "windows": .integer(windows.count), "tokensPerWindow": .integer(windows.first?.count ?? 0),
      ])
    }
    guard let importancePath, let importance else { return .null }
    return .object([
      "importance": try FileDigest(of: importancePath).result(),
      "datasets": .texts(importance.datasets), "chunks": .integer(importance.chunkCount),
      "chunkSize": .integer(importance.chunkSize),
    ])
  }
}
