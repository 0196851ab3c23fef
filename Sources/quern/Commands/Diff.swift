import ArgumentParser
import Bytes
import Conversion
import IR
import Kernels
import SystemPackage
import Verification

struct Diff: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare two models tensor by tensor, whatever their containers.",
    discussion: "Names and orders are made equal first, so a directory and the .gguf made from it compare as equal.")

  @Argument(help: "A Hugging Face directory, or a file of any container (quern containers).")
  var a: FilePath

  @Argument(help: "Another.")
  var b: FilePath

  @Flag(help: "List equal tensors too.")
  var all = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let processor = try common.processor()
    let (left, right) = try models()
    let missing = left.tensors.filter { right[$0.name] == nil }.map(\.name)
    let extra = right.tensors.filter { left[$0.name] == nil }.map(\.name)
    var reshaped: [ByteString] = []
    var rows: [Distortion] = []
    for tensor in left.tensors {
      guard let other = right[tensor.name] else { continue }
      guard other.shape == tensor.shape else {
        reshaped.append(tensor.name)
        continue
      }
      guard let row = try Distortion.measure(tensor, other, kernels: processor.kernels, pool: processor.pool) else {
        throw UsageError("\(tensor.name): \(tensor.format.name) against \(other.format.name) cannot be compared")
      }
      rows.append(row)
    }
    let names = Set(left.hyperparameters.entries.map(\.name)).union(
      right.hyperparameters.entries.map(\.name))
    let changed = names.sorted().filter {
      !Self.agree(left.hyperparameters[$0], right.hyperparameters[$0])
    }
    let isEqual =
      missing.isEmpty && extra.isEmpty && reshaped.isEmpty && changed.isEmpty && rows.allSatisfy { $0.largest == 0 }
    if common.json {
      return printJSON([
        "equal": .bool(isEqual), "onlyInA": .texts(missing), "onlyInB": .texts(extra), "shapesDiffer": .texts(reshaped),
        "hyperparametersDiffer": .array(changed.map { .text($0) }),
        "tensors": .array(
          rows.map {
            .object([
              "name": .string($0.name), "a": .text($0.reference.name), "b": .text($0.candidate.name),
              "rmse": .double($0.rootMeanSquare), "relativeError": .double($0.relative), "largest": .double($0.largest),
            ])
          }),
      ])
    }
    for name in missing { print("only in \(a): \(name)") }
    for name in extra { print("only in \(b): \(name)") }
    for name in reshaped { print("another shape: \(name)") }
    for name in changed {
      print(
        "\(name): \(Self.shown(left.hyperparameters[name])) in \(a), \(Self.shown(right.hyperparameters[name])) in \(b)"
      )
    }
    let shown = all ? rows : rows.filter { $0.largest != 0 }
    if !shown.isEmpty {
      var table = Table([
        .init(title: "tensor", isFlexible: true), .init(title: "types"),
        .init(title: "relative error", alignsRight: true),
        .init(title: "largest", alignsRight: true),
      ])
      for row in shown {
        table.add(
          row.name.text, "\(row.reference.name) → \(row.candidate.name)", Format.percent(row.relative),
          Format.short(row.largest))
      }
      print(table.text())
    }
    print(
      isEqual ? "equal: \(rows.count) tensors" : "\(rows.count { $0.largest == 0 }) of \(rows.count) tensors are equal")
  }

  /// Under canonical names when both are of a known family, under their files' own otherwise.
  private func models() throws -> (Model, Model) {
    let left = try OpenedCheckpoint(a, common)
    let right = try OpenedCheckpoint(b, common)
    if left.opened != nil, right.opened != nil { return (left.model, right.model) }
    let none = ConversionError.unrecognized(path: a, detail: "compared by the files' own names")
    return (
      OpenedCheckpoint.tensors(left.checkpoint, reason: none).model,
      OpenedCheckpoint.tensors(right.checkpoint, reason: none).model
    )
  }

  /// GGUF keeps numbers in F32, so they are compared as such.
  private static func agree(_ a: Hyperparameters.Value?, _ b: Hyperparameters.Value?) -> Bool {
    if case .number(let a)? = a, case .number(let b)? = b { return Float(a) == Float(b) }
    return a == b
  }

  private static func shown(_ value: Hyperparameters.Value?) -> String {
    value.map { String(decoding: Inspect.json($0).serialized(), as: UTF8.self) } ?? "nothing"
  }
}
