import ArgumentParser
import Bytes
import Footprint
import IR
import SystemPackage

struct MemoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "memory",
    abstract: "Say what a model needs in memory, and whether it fits.",
    discussion: """
      Works on headers, a config.json alone, or the name of a released model. --recipe counts as if the model were \
      quantized so; --device and --vram say whether it fits, how much context and how many sequences would, and how \
      fast it would be; without them, this machine.

        quern memory model.gguf --context 8192 --explain
        quern memory config.json --recipe int4 --vram 6GB
        quern memory llama-2-70b --profile llama.cpp --recipe q4_0 --device "RTX 4090" --device a100
        quern memory llama-2-7b --train adam --lora 16 --context 2048
        quern memory vgg16 --batch 32 --train momentum
      """)

  @Argument(help: "A Hugging Face directory, .gguf file, config.json, or a name such as llama-2-7b.")
  var model: String

  @Option(help: "As if quantized by this recipe; see: quern recipes")
  var recipe: String?

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var training: TrainingOptions

  @Flag(help: "Show each line's formula with its inputs.")
  var explain = false

  @Flag(help: "Draw memory against context.")
  var plot = false

  @Option(help: ArgumentHelp("Write the plot as SVG.", valueName: "file"))
  var svg: FilePath?

  @Option(help: ArgumentHelp("Write everything as one HTML page.", valueName: "file"))
  var html: FilePath?

  @OptionGroup var common: CommonOptions

  func run() throws {
    if let network = try usage({ () throws(FootprintError) in try ConvolutionalNetwork.named(model) }) {
      return try show(network)
    }
    let described = try DescribedModel(model)
    var shape = try ModelShape(described.model, recipe: recipe)
    if training.nf4 { shape = shape.encoded(as: .nf4) }
    var request = try memory.request(for: shape)
    request.training = try training.request()
    let devices = try memory.devices()
    if devices.count == 1 { request.device = devices[0] }
    let footprint = try usage { () throws(FootprintError) in try Footprint(of: shape, for: request) }
    let fits = try usage { () throws(FootprintError) -> [DeviceFit] in
      let planner = try FitPlanner(shape, request)
      var fits: [DeviceFit] = []
      for device in devices { if let fit = try planner.fit(on: device) { fits.append(fit) } }
      return fits
    }
    try write(shape, request, footprint, fits)
    if common.json { return printJSON(json(footprint, shape: shape, fits: fits)) }
    print(text(footprint, shape: shape, fits: fits))
    if plot { print("\n" + (try linePlot(shape, request, fits)).text(width: Terminal.width).joined(separator: "\n")) }
  }

  private func linePlot(_ shape: ModelShape, _ request: FootprintRequest, _ fits: [DeviceFit]) throws -> LinePlot {
    let needed = try usage { () throws(FootprintError) in try Footprint(of: shape, for: request) }.totalBytes
    // A device with room for many times the model would squeeze the lines together.
    let marks = fits.filter { $0.usableBytes < 4 * needed }.map {
      LinePlot.Mark(name: $0.device.name, y: Double($0.usableBytes))
    }
    return try usage { () throws(FootprintError) in
      try LinePlot.overContexts(shape, request, title: "Memory of \(model) against context", marks: marks)
    }
  }

  private func write(
    _ shape: ModelShape, _ request: FootprintRequest, _ footprint: Footprint, _ fits: [DeviceFit]
  ) throws {
    if let svg { try writeText((try linePlot(shape, request, fits)).svg() + "\n", to: svg) }
    if let html {
      let page = FootprintPage(
        model: model, parameterCount: shape.parameterCount, bitsPerWeight: shape.bitsPerWeight, footprint: footprint,
        fits: fits, plots: [try linePlot(shape, request, fits)])
      try writeText(page.html(), to: html)
    }
  }

  private func writeText(_ text: String, to path: FilePath) throws {
    let file = try AtomicFile(path, overwrites: true)
    try file.write(Array(text.utf8), at: 0)
    try file.commit()
  }

  private func text(_ footprint: Footprint, shape: ModelShape, fits: [DeviceFit]) -> String {
    var table = Table([
      .init(title: "what", isFlexible: true), .init(title: "bytes", alignsRight: true),
      .init(title: "", alignsRight: true),
    ])
    for item in footprint.items { table.add(item.name, Format.grouped(item.bytes), Format.bytes(item.bytes)) }
    table.add("total", Format.grouped(footprint.totalBytes), Format.bytes(footprint.totalBytes))
    var lines = [
      "\(model): \(Format.count(shape.parameterCount)) parameters, \(Format.fixed(shape.bitsPerWeight, 2)) bits per weight, "
        + "\(footprint.profile), context \(footprint.context), batch \(footprint.batch)",
      "", table.text(),
    ]
    if explain {
      lines.append("")
      for item in footprint.items { lines.append("\(item.name) = \(item.formula)") }
    }
    for fit in fits { lines += [""] + self.lines(fit) }
    return lines.joined(separator: "\n")
  }

  private func lines(_ fit: DeviceFit) -> [String] {
    let size = Format.bytes(fit.usableBytes)
    let name = fit.device.name
    guard fit.fits else {
      var lines = ["does not fit \(name) (\(size)): \(Format.bytes(-fit.headroomBytes)) too much"]
      if let layers = fit.offloadedLayers, layers > 0 {
        lines.append("  \(layers) layers would, the rest in the host's memory")
      }
      lines.append(
        fit.maxContext > 0
          ? "  the longest context that fits is \(Format.grouped(fit.maxContext)) tokens"
          : "  no context fits: try --recipe int4, or a larger device")
      return lines
    }
    var lines = ["fits \(name) (\(size)) with \(Format.bytes(fit.headroomBytes)) to spare"]
    if training.train == nil {
      lines.append(
        "  up to \(Format.grouped(fit.maxContext)) tokens of context, or \(Format.grouped(fit.maxBatch)) sequences of this one"
      )
    }
    if training.train == nil, let rate = fit.generation {
      let prompt = fit.prompt.map { ", \(Format.short($0.tokensPerSecond)) for a prompt" } ?? ""
      lines.append("  about \(Format.short(rate.tokensPerSecond)) tokens/s (\(rate.bottleneck.rawValue))\(prompt)")
    }
    return lines
  }

  private func json(_ footprint: Footprint, shape: ModelShape, fits: [DeviceFit]) -> JSONObject {
    var result: JSONObject = [
      "model": .text(model), "family": .text(shape.family), "parameterCount": .integer(shape.parameterCount),
    ]
    for member in Self.json(footprint).members { result[member.key] = member.value }
    result["devices"] = .array(
      fits.map { fit in
        .object([
          "name": .text(fit.device.name), "memoryBytes": .integer(fit.usableBytes), "fits": .bool(fit.fits),
          "headroomBytes": .integer(fit.headroomBytes), "maxContext": .integer(fit.maxContext),
          "maxBatch": .integer(fit.maxBatch), "offloadedLayers": fit.offloadedLayers.map { .integer($0) } ?? .null,
          "tokensPerSecond": fit.generation.map { .double($0.tokensPerSecond) } ?? .null,
          "promptTokensPerSecond": fit.prompt.map { .double($0.tokensPerSecond) } ?? .null,
          "bottleneck": fit.generation.map { .text($0.bottleneck.rawValue) } ?? .null,
        ])
      })
    return result
  }

  private static func json(_ footprint: Footprint) -> JSONObject {
    [
      "profile": .text(footprint.profile), "context": .integer(footprint.context), "batch": .integer(footprint.batch),
      "weightsBytes": .integer(footprint.weightsBytes), "kvCacheBytes": .integer(footprint.kvCacheBytes),
      "computeBytes": .integer(footprint.computeBytes), "overheadBytes": .integer(footprint.overheadBytes),
      "gradientBytes": .integer(footprint.gradientBytes), "optimizerBytes": .integer(footprint.optimizerBytes),
      "totalBytes": .integer(footprint.totalBytes),
      "items": .array(
        footprint.items.map {
          .object([
            "name": .text($0.name), "part": .text($0.part.rawValue), "bytes": .integer($0.bytes),
            "formula": .text($0.formula),
          ])
        }),
    ]
  }

  /// The textbook's table: what each layer puts out for one image, and its parameters.
  private func show(_ network: ConvolutionalNetwork) throws {
    let optimizer = try training.request()?.optimizer
    let footprint = try usage { () throws(FootprintError) in
      try network.footprint(batch: memory.batch, optimizer: optimizer)
    }
    if common.json {
      var result: JSONObject = [
        "model": .text(network.name), "parameterCount": .integer(network.parameterCount),
        "activationsPerImage": .integer(network.activationCount), "note": .text(network.note),
      ]
      for member in Self.json(footprint).members { result[member.key] = member.value }
      result["layers"] = .array(
        network.layers.map {
          .object([
            "name": .text($0.name), "shape": .array($0.shape.map { .integer($0) }),
            "activations": .integer($0.activationCount), "parameters": .integer($0.weightCount + $0.biasCount),
          ])
        })
      return printJSON(result)
    }
    var table = Table([
      .init(title: "layer"), .init(title: "output"), .init(title: "values", alignsRight: true),
      .init(title: "weights", isFlexible: true), .init(title: "parameters", alignsRight: true),
    ])
    for layer in network.layers {
      table.add(
        layer.name, layer.shape.map { "\($0)" }.joined(separator: "×"), Format.grouped(layer.activationCount),
        layer.weightFormula, Format.grouped(layer.weightCount + layer.biasCount))
    }
    table.add("total", "", Format.grouped(network.activationCount), "", Format.grouped(network.parameterCount))
    var lines = ["\(network.summary), batch \(memory.batch)", "", table.text(), ""]
    for item in footprint.items { lines.append("\(item.name): \(Format.bytes(item.bytes)) = \(item.formula)") }
    lines += ["total: \(Format.bytes(footprint.totalBytes))", "", network.note]
    print(lines.joined(separator: "\n"))
  }
}
