import ArgumentParser
import Bytes
import Footprint
import IR
import Passes
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

  @Option(
    help: ArgumentHelp(
      "As if the matrices were held as another runtime holds them: gptq-int8, awq-int4, row-int8, row-int4, nf4.",
      valueName: "encoding"))
  var weights: String?

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var training: TrainingOptions

  @Flag(help: "Show each line's formula with its inputs.")
  var explain = false

  @Flag(help: "Draw memory as the context, or the bits per weight, grow.")
  var plot = false

  @Option(help: ArgumentHelp("What --plot and --svg draw memory against: context or bits.", valueName: "axis"))
  var against: Plots.Axis = .context

  @Option(help: ArgumentHelp("Write the plot as SVG.", valueName: "file"))
  var svg: FilePath?

  @Option(help: ArgumentHelp("Write everything as one HTML page.", valueName: "file"))
  var html: FilePath?

  @OptionGroup var common: CommonOptions

  func run() throws {
    if let network = try usage({ () throws(FootprintError) in try ConvolutionalNetwork.named(model) }) {
      return try show(network)
    }
    let described = try DescribedModel(model, common)
    var shape = try ModelShape(described, recipe: recipe)
    let profile = try usage { () throws(FootprintError) in try RuntimeProfile.named(memory.profile) }
    if let recipe, shape.isPacked, !profile.readsPackedFolders {
      throw UsageError("\(recipe) is for GPU libraries: say who would run it, --profile transformers or vllm")
    }
    shape = shape.held(by: profile)
    if let weights {
      shape = shape.encoded(as: try usage { () throws(FootprintError) in try WeightEncoding.named(weights) })
    }
    if training.nf4 { shape = shape.encoded(as: .nf4) }
    var request = try memory.request(for: shape)
    request.training = try training.request()
    let devices = try memory.devices()
    if devices.count == 1 { request.device = devices[0] }
    let footprint = try usage { () throws(FootprintError) in try Footprint(of: shape, for: request) }
    let host = try memory.hostDevice()
    let fits = try usage { () throws(FootprintError) -> [DeviceFit] in
      let planner = try FitPlanner(shape, request, host: host)
      var fits: [DeviceFit] = []
      for device in devices { if let fit = try planner.fit(on: device) { fits.append(fit) } }
      return fits
    }
    let plots = {
      Plots(
        title: model, model: described, shape: shape, request: request, needed: footprint.totalBytes, fits: fits)
    }
    if let svg { try writeText(plots().against(against).svg() + "\n", to: svg) }
    if let html {
      let page = FootprintPage(
        model: model, parameterCount: shape.parameterCount, bitsPerWeight: shape.bitsPerWeight, footprint: footprint,
        fits: fits, plots: try Plots.Axis.allCases.map { try plots().against($0) })
      try writeText(page.html(), to: html)
    }
    let conversion = try recipe.map { name in
      (
        recipe: name,
        cost: try usage { () throws(FootprintError) in
          try ConversionCost(of: shape, threads: common.threads ?? Environment.processorCount)
        }
      )
    }
    let report = MemoryReport(
      model: model, shape: shape, footprint: footprint, fits: fits, isTraining: request.training != nil,
      conversion: conversion)
    if common.json { return printJSON(report.json()) }
    print(report.text(explaining: explain))
    if plot { print("\n" + (try plots().against(against)).text(width: Terminal.width).joined(separator: "\n")) }
  }

  /// The pictures of one model, drawn when they are asked for.
  struct Plots {
    enum Axis: String, CaseIterable, ExpressibleByArgument { case context, bits }

    let title: String
    let model: DescribedModel
    let shape: ModelShape
    let request: FootprintRequest
    let needed: Int
    let fits: [DeviceFit]

    func against(_ axis: Axis) throws -> LinePlot {
      // A device with room for many times the model would squeeze the lines together.
      let marks = fits.filter { $0.usableBytes < 4 * needed }.map {
        LinePlot.Mark(name: $0.device.name, y: Double($0.usableBytes))
      }
      switch axis {
      case .context:
        return try usage { () throws(FootprintError) in
          try LinePlot.overContexts(shape, request, title: "Memory of \(title) against context", marks: marks)
        }
      case .bits:
        // Wider than it is, a model only wastes.
        let shapes = try RecipeBook().recipes.filter { $0.packing == nil }.map {
          try ModelShape(model, recipe: $0.name)
        }.filter {
          $0.bitsPerWeight < model.shape.bitsPerWeight
        }
        return try usage { () throws(FootprintError) in
          try LinePlot.overBits(
            shapes + [shape], request,
            title: "Memory of \(title) against bits per weight, \(Format.grouped(request.context)) tokens of context",
            marks: marks)
        }
      }
    }
  }

  private func writeText(_ text: String, to path: FilePath) throws {
    let file = try AtomicFile(path, overwrites: true)
    try file.write(Array(text.utf8), at: 0)
    try file.commit()
  }

  /// The textbook's table: what each layer puts out for one image, and its parameters.
  private func show(_ network: ConvolutionalNetwork) throws {
    let foreign: [(String, Bool)] = [
      ("--recipe", recipe != nil), ("--weights", weights != nil), ("--context", memory.context != nil),
      ("--lora", training.lora != nil), ("--gpu-layers", memory.gpuLayers != nil), ("--plot", plot),
      ("--svg", svg != nil),
      ("--html", html != nil),
    ]
    if let name = foreign.first(where: \.1)?.0 {
      throw UsageError("\(network.name) is an image network, counted in F32: \(name) means nothing for it")
    }
    let optimizer = try training.request()?.optimizer
    let footprint = try usage { () throws(FootprintError) in
      try network.footprint(batch: memory.batch, optimizer: optimizer)
    }
    let devices = try memory.devices().compactMap { device in device.usableBytes.map { (device.name, $0) } }
    if common.json {
      var result: JSONObject = [
        "model": .text(network.name), "parameterCount": .integer(network.parameterCount),
        "activationsPerImage": .integer(network.activationCount), "note": .text(network.note),
      ]
      for member in MemoryReport.json(footprint).members { result[member.key] = member.value }
      result["devices"] = .array(
        devices.map { name, bytes in
          .object([
            "name": .text(name), "memoryBytes": .integer(bytes), "fits": .bool(footprint.totalBytes <= bytes),
            "headroomBytes": .integer(bytes - footprint.totalBytes),
          ])
        })
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
    for item in footprint.items {
      lines += Format.wrapped("\(item.name): \(Format.bytes(item.bytes)) = \(item.formula)", indent: 2)
    }
    lines += ["total: \(Format.bytes(footprint.totalBytes))", ""]
    for (name, bytes) in devices {
      let rest = bytes - footprint.totalBytes
      lines.append(
        (rest >= 0 ? "fits" : "does not fit") + " \(name) (\(Format.bytes(bytes)), \(Format.binaryBytes(bytes))): "
          + (rest >= 0 ? "\(Format.bytes(rest)) to spare" : "\(Format.bytes(-rest)) too much"))
    }
    lines += [""] + Format.wrapped(network.note)
    print(lines.joined(separator: "\n"))
  }
}
