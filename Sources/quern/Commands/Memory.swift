import ArgumentParser
import Bytes
import Conversion
import Footprint
import IR
import Passes
import SystemPackage

struct MemoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory",
    abstract: "Say what a model needs in memory, and whether it fits.",
    discussion: """
      Works on headers or a config.json alone. --recipe counts as if the model were quantized so; --vram says whether \
      the total fits and how much context would.

        quern memory model.gguf --context 8192
        quern memory config.json --recipe int4 --vram 6GB --explain
      """)

  @Argument(help: "A Hugging Face directory, .gguf file or config.json.")
  var model: FilePath

  @Option(help: "Tokens per sequence (default: the model's own, at most 8192).")
  var context: Int?

  @Option(help: "Sequences at once.")
  var batch = 1

  @Option(help: "Type of the KV cache: f32 or f16.")
  var kv = "f16"

  @Option(help: "As if quantized by this recipe; see: quern recipes")
  var recipe: String?

  @Option(help: ArgumentHelp("Memory that it should fit: 6GB, 8GiB.", valueName: "size"))
  var vram: String?

  @Flag(help: "Show each line's formula with its inputs.")
  var explain = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let opened = try OpenedModel(model)
    var shape = ModelShape(opened.model)
    if let recipe {
      let book = try RecipeBook()
      guard let found = book[recipe] else {
        throw UsageError("no recipe is called '\(recipe)'; there are: \(book.names.joined(separator: ", "))")
      }
      let plan = try found.plan(for: opened.model)
      let formats = Dictionary(uniqueKeysWithValues: plan.steps.map { ($0.name, $0.to) })
      shape = shape.formatted { name, _, stored in formats[name] ?? stored }
    }
    guard let keyFormat = BlockFormat.named(kv) else { throw UsageError("--kv takes a type such as f16, not '\(kv)'") }
    let trained = opened.model.hyperparameters.integer("context_length") ?? 4096
    let request = FootprintRequest(
      context: context ?? min(trained, 8192), batch: batch, keyFormat: keyFormat, valueFormat: keyFormat)
    let footprint: Footprint
    do { footprint = try Footprint(of: shape, for: request) } catch { throw UsageError("\(error)") }
    let budget = try vram.map { text throws(UsageError) in
      guard let size = ByteSize(text), size.bytes >= 1 << 20 else {
        throw UsageError("--vram takes a size such as 6GB or 512MB, not '\(text)'")
      }
      return size.bytes
    }
    let largest = try budget.map { try largestContext(shape, request: request, budget: $0) }
    if common.json { return printJSON(json(footprint, shape: shape, budget: budget, largestContext: largest ?? nil)) }
    print(text(footprint, shape: shape, budget: budget, largestContext: largest ?? nil))
  }

  /// The longest context whose total fits, or nil when none does.
  private func largestContext(_ shape: ModelShape, request: FootprintRequest, budget: Int) throws -> Int? {
    let fits = { (context: Int) -> Bool in
      var trial = request
      trial.context = context
      guard let footprint = try? Footprint(of: shape, for: trial) else { return false }
      return footprint.totalBytes <= budget
    }
    guard fits(1) else { return nil }
    var low = 1
    var high = 1 << 24
    if fits(high) { return high }
    while high - low > 1 {
      let middle = (low + high) / 2
      if fits(middle) { low = middle } else { high = middle }
    }
    return low
  }

  private func text(_ footprint: Footprint, shape: ModelShape, budget: Int?, largestContext: Int?) -> String {
    var table = Table([
      .init(title: "what", isFlexible: true), .init(title: "bytes", alignsRight: true), .init(title: "", alignsRight: true),
    ])
    for item in footprint.items { table.add(item.name, Format.grouped(item.bytes), Format.bytes(item.bytes)) }
    table.add("total", Format.grouped(footprint.totalBytes), Format.bytes(footprint.totalBytes))
    var lines = [
      "\(model): \(Format.count(shape.parameterCount)) parameters, \(Format.fixed(shape.bitsPerWeight, 2)) bits per weight, "
        + "context \(footprint.context), batch \(footprint.batch)",
      "", table.text(),
    ]
    if explain {
      lines.append("")
      for item in footprint.items { lines.append("\(item.name) = \(item.formula)") }
    }
    if let budget {
      lines.append("")
      let room = budget - footprint.totalBytes
      lines.append(
        room >= 0 ? "fits \(Format.bytes(budget)) with \(Format.bytes(room)) to spare"
          : "does not fit \(Format.bytes(budget)): \(Format.bytes(-room)) too much")
      lines.append(
        largestContext.map { "the longest context that fits is \(Format.grouped($0)) tokens" }
          ?? "no context fits: try --recipe int4, or a larger device")
    }
    return lines.joined(separator: "\n")
  }

  private func json(_ footprint: Footprint, shape: ModelShape, budget: Int?, largestContext: Int?) -> JSONObject {
    var devices: [JSONValue] = []
    if let budget {
      devices.append(
        .object([
          "name": .text("--vram \(vram ?? "")"), "memoryBytes": .integer(budget),
          "fits": .bool(footprint.totalBytes <= budget), "headroomBytes": .integer(budget - footprint.totalBytes),
          "maxContext": largestContext.map { .integer($0) } ?? .null,
        ]))
    }
    return [
      "model": .text(model.string), "family": .text(shape.family), "parameterCount": .integer(shape.parameterCount),
      "context": .integer(footprint.context), "batch": .integer(footprint.batch),
      "weightsBytes": .integer(footprint.weightsBytes), "kvCacheBytes": .integer(footprint.kvCacheBytes),
      "computeBytes": .integer(footprint.computeBytes), "overheadBytes": .integer(footprint.overheadBytes),
      "gradientBytes": .integer(footprint.gradientBytes), "optimizerBytes": .integer(footprint.optimizerBytes),
      "totalBytes": .integer(footprint.totalBytes),
      "items": .array(
        footprint.items.map {
          .object(["name": .text($0.name), "part": .text($0.part.rawValue), "bytes": .integer($0.bytes), "formula": .text($0.formula)])
        }),
      "devices": .array(devices),
    ]
  }
}
