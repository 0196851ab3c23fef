import ArgumentParser
import Bytes
import Conversion
import Footprint
import IR
import Kernels
import Passes

struct Fit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Quantize a model as little as a device's memory allows.",
    discussion: """
      Gives every matrix as many bits as the budget has, first where they mend most, and writes the model. What counts \
      is weights, KV cache and buffers; on a GPU its driver too; on a processor's own memory (a CPU or an Apple chip as \
      --device, or this machine when nothing is named) the program and its tokenizer. --calibrate measures where bits \
      mend most on a text, and writes with error feedback. --recipes keeps to one recipe for all. --dry-run writes \
      nothing and shows what every recipe would need.

        quern fit ./SmolLM2-135M --vram 150MB --context 2048 -o fitted.gguf
        quern fit ./SmolLM2-135M --vram 80MB --context 512 --calibrate text.txt -o fitted.gguf
        quern fit model.gguf --device "RTX 3060" --profile llama.cpp --context 8192 --dry-run
      """)

  @Argument(help: "A Hugging Face directory or .gguf file; with --dry-run also a config.json or a name.")
  var model: String

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Show what would fit; write nothing.")
  var dryRun = false

  @Flag(help: "Only whole recipes; no plan of its own for each matrix.")
  var recipes = false

  @OptionGroup(title: "Calibration") var calibration: CalibrationOptions

  @OptionGroup var common: CommonOptions

  func run() throws {
    let described = try DescribedModel(model, common)
    let profile = try usage { () throws(FootprintError) in try RuntimeProfile.named(memory.profile) }
    guard profile.law == .quern || profile.law == .llamaCpp else {
      throw UsageError(
        "fit writes formats that quern and llama.cpp run: --profile takes quern, llama.cpp or llama-server, not '\(memory.profile)'"
      )
    }
    let devices = try memory.devices()
    guard let device = devices.first, devices.count == 1 || dryRun else {
      throw UsageError("say one device: --device NAME or --vram SIZE; --dry-run takes several")
    }
    let processor = try common.processor()
    let stored = described.shape
    let request = try memory.request(for: stored)
    var candidates = try FitCandidates(
      described.model, stored, request, profile: profile, host: try memory.hostDevice(),
      allocator: recipes ? nil : try allocator(described.model, processor), isCalibrated: calibration.text != nil)
    if !dryRun {
      // Mistakes, and that nothing fits, are told before the model reads a text.
      _ = (try output.container(), try output.maximumShardBytes())
      let plain = try candidates.all(on: device)
      guard FitCandidates.best(of: plain) != nil else { throw Self.nothingFits(device, plain) }
    }
    let opened = try dryRun && calibration.text == nil ? nil : OpenedModel(.init(model), common)
    let text = try opened.flatMap { opened in
      let windows = try calibration.windows(opened) ?? calibration.ownText(opened, processor, isQuiet: common.json)
      return try windows.map { try calibration.text(opened, $0, processor, isQuiet: common.json) }
    }
    if !recipes { candidates.measured = try text?.choices(processor, isQuiet: common.json) }
    let results = try devices.map { device in
      let found = try candidates.all(on: device)
      return (device: device, candidates: found, best: FitCandidates.best(of: found))
    }
    if dryRun { return show(results) }
    guard let best = results[0].best, let opened else { throw Self.nothingFits(device, results[0].candidates) }
    if !common.json { print(self.text(best, of: stored) + "\n") }
    let quantizer = try text.map { try calibration.quantizer($0, plan: best.plan, processor: processor) }
    let job = try ConversionJob(
      opened, plan: best.plan, ggufFileType: best.plan.ggufFileType, container: output.container(),
      calibrated: quantizer?.encodedNames ?? [], kernels: processor.kernels)
    try output.perform(job, label: "fit", calibration: quantizer, processor: processor, asJSON: common.json)
  }

  private func allocator(_ model: Model, _ processor: Processor) throws -> BudgetAllocator {
    let recipe = try RecipeBook()["q8_0"]
    return BudgetAllocator(model, runtime: memory.profile, kernels: processor.kernels) {
      recipe?.allowsPacking($0) == false
    }
  }

  private static func nothingFits(_ device: Device, _ found: [FitCandidates.Candidate]) -> ThresholdError {
    var text = "nothing fits \(device.name)"
    if let least = found.min(by: { $0.fit.footprint.totalBytes < $1.fit.footprint.totalBytes }) {
      let (footprint, fit) = (least.fit.footprint, least.fit)
      text +=
        ": the smallest (\(least.name)) needs \(Format.bytes(footprint.totalBytes)) of "
        + "\(Format.bytes(fit.usableBytes)) (\(parts(of: footprint))), and "
        + (fit.maxContext > 0 ? "would fit with --context \(fit.maxContext)" : "no context is short enough")
    }
    return ThresholdError(description: text)
  }

  /// What counts, part by part.
  private static func parts(of footprint: Footprint) -> String {
    var parts: [(String, Int)] = [
      ("weights", footprint.weightsBytes), ("KV cache", footprint.kvCacheBytes), ("buffers", footprint.computeBytes),
    ]
    parts += footprint.items.filter { $0.part == .overhead }.map { ($0.name, $0.bytes) }
    return parts.filter { $0.1 > 0 }.map { "\($0.0) \(Format.bytes($0.1))" }.joined(separator: ", ")
  }

  /// What was chosen, and what was given up for it.
  private func text(_ best: FitCandidates.Candidate, of stored: ModelShape) -> String {
    var table = Table([
      .init(title: "type"), .init(title: "tensors", alignsRight: true), .init(title: "weights", alignsRight: true),
      .init(title: "which", isFlexible: true),
    ])
    var order: [BlockFormat] = []
    for step in best.plan.steps where !order.contains(step.to) { order.append(step.to) }
    let bits = { (format: BlockFormat) in Double(format.bytesPerBlock) / Double(format.elementsPerBlock) }
    for format in order.sorted(by: { bits($0) < bits($1) }) {
      let steps = best.plan.steps.filter { $0.to == format }
      var roles: [String] = []
      for step in steps {
        let parts = step.name.text.split(separator: ".").map(String.init)
        let role = parts.first { $0 != "blk" && Int($0) == nil } ?? ""
        if !roles.contains(role) { roles.append(role) }
      }
      table.add(
        format.name, "\(steps.count)", Format.count(steps.reduce(0) { $0 + $1.shape.elementCount }),
        roles.joined(separator: ", "))
    }
    let footprint = best.fit.footprint
    let bitsPerWeight =
      "\(Format.fixed(best.bitsPerWeight, 2)) of \(Format.fixed(stored.bitsPerWeight, 2)) bits per weight"
    let total = "\(Format.bytes(footprint.totalBytes)) of \(Format.bytes(best.fit.usableBytes))"
    let context = "\(Format.grouped(footprint.context)) tokens of context"
    var lines = Format.wrapped(
      "\(best.name): \(bitsPerWeight), \(total) with \(context) (\(Self.parts(of: footprint)))")
    if !footprint.hostItems.isEmpty {
      let beside = footprint.hostItems.map { "\($0.name) \(Format.bytes($0.bytes))" }.joined(separator: ", ")
      lines += Format.wrapped("In the host's memory, not counted: \(beside)")
    }
    return (lines + ["", table.text(), "", "What that costs: quern verify \(model) OUT --text FILE"]).joined(
      separator: "\n")
  }

  private func show(
    _ results: [(device: Device, candidates: [FitCandidates.Candidate], best: FitCandidates.Candidate?)]
  ) {
    guard common.json else {
      for (number, result) in results.enumerated() {
        print(
          (number > 0 ? "\n" : "") + "\(model) on \(result.device.name)\n\n"
            + Self.table(result.candidates, result.best))
      }
      return
    }
    let objects = results.map { result in
      let plan = result.best?.name == FitCandidates.mixedName ? result.best?.plan.steps ?? [] : []
      return [
        "model": .text(model), "device": .text(result.device.name),
        "recipe": result.best.map { .text($0.name) } ?? .null,
        "perMatrix": .array(
          plan.map {
            .object(["name": .string($0.name), "from": .text($0.from.name), "to": .text($0.to.name)])
          }),
        "candidates": .array(result.candidates.map { .object(Self.json($0)) }),
      ] as JSONObject
    }
    printJSON(objects.count == 1 ? objects[0] : ["devices": .array(objects.map { .object($0) })])
  }

  private static func json(_ candidate: FitCandidates.Candidate) -> JSONObject {
    [
      "recipe": .text(candidate.name), "bitsPerWeight": .double(candidate.bitsPerWeight),
      "totalBytes": .integer(candidate.fit.footprint.totalBytes), "fits": .bool(candidate.fit.fits),
      "headroomBytes": .integer(candidate.fit.headroomBytes), "maxContext": .integer(candidate.fit.maxContext),
      "maxBatch": .integer(candidate.fit.maxBatch),
      "tokensPerSecond": candidate.fit.generation.map { .double($0.tokensPerSecond) } ?? .null,
      "bottleneck": candidate.fit.generation.map { .text($0.bottleneck.rawValue) } ?? .null,
      "promptTokensPerSecond": candidate.fit.prompt.map { .double($0.tokensPerSecond) } ?? .null,
      "promptBottleneck": candidate.fit.prompt.map { .text($0.bottleneck.rawValue) } ?? .null,
      "gpuLayers": candidate.fit.split.map { .integer($0.offload.gpuLayers) } ?? .null,
    ]
  }

  private static func table(
    _ candidates: [FitCandidates.Candidate], _ best: FitCandidates.Candidate?
  ) -> String {
    var table = Table([
      .init(title: ""), .init(title: "recipe"), .init(title: "bits", alignsRight: true),
      .init(title: "needs", alignsRight: true), .init(title: "to spare", alignsRight: true),
      .init(title: "context", alignsRight: true), .init(title: "sequences", alignsRight: true, isOptional: true),
      .init(title: "tokens/s", alignsRight: true, isOptional: true), .init(title: "limited by", isOptional: true),
    ])
    for candidate in candidates {
      let fit = candidate.fit
      table.add(
        candidate.name == best?.name ? "→" : "", candidate.name, Format.fixed(candidate.bitsPerWeight, 2),
        Format.bytes(fit.footprint.totalBytes), Format.bytes(fit.headroomBytes),
        fit.maxContext > 0 ? Format.grouped(fit.maxContext) : "–",
        fit.maxBatch > 0 ? Format.grouped(fit.maxBatch) : "–",
        (fit.generation ?? fit.split?.generation).map { Format.short($0.tokensPerSecond) } ?? "–",
        fit.fits ? fit.generation?.bottleneck.word ?? "" : fit.split.map { "\($0.layers) layers fit" } ?? "")
    }
    return table.text()
  }
}
