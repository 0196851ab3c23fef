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
      Counts weights, KV cache and buffers, gives every matrix as many bits as the budget has, first where they mend \
      most, and writes the model. --recipes keeps to one recipe for all. --dry-run writes nothing and shows what every \
      recipe would need.

        quern fit ./SmolLM2-135M --vram 150MB --context 2048 -o fitted.gguf
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

  @OptionGroup var common: CommonOptions

  private struct Candidate {
    let name: String
    let plan: QuantizationPlan
    let bitsPerWeight: Double
    let fit: DeviceFit
  }

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
    var request = try memory.request(for: stored)
    if dryRun {
      var results: [(Device, [Candidate], Candidate?)] = []
      for device in devices {
        request.device = device
        let candidates = try candidates(described.model, stored, request, device, processor.kernels)
        results.append((device, candidates, Self.best(of: candidates)))
      }
      return show(results)
    }
    request.device = device
    let candidates = try candidates(described.model, stored, request, device, processor.kernels)
    guard let best = Self.best(of: candidates) else {
      let least = candidates.min { $0.fit.footprint.totalBytes < $1.fit.footprint.totalBytes }
      throw ThresholdError(
        description: "nothing fits \(device.name)"
          + (least.map {
            ": the smallest (\($0.name)) needs \(Format.bytes($0.fit.footprint.totalBytes)) of \(Format.bytes($0.fit.usableBytes)) (\(Self.parts(of: $0.fit.footprint))), and "
              + ($0.fit.maxContext > 0 ? "would fit with --context \($0.fit.maxContext)" : "no context is short enough")
          } ?? ""))
    }
    if !common.json { print(text(best, of: stored) + "\n") }
    let opened = try OpenedModel(.init(model), common)
    let job = try ConversionJob(
      opened, plan: best.plan, ggufFileType: best.plan.ggufFileType, container: output.container(),
      kernels: processor.kernels)
    try output.perform(job, label: "fit", processor: processor, asJSON: common.json)
  }

  /// Whole recipes, and unless refused a plan with a format for each matrix; most bits first.
  private func candidates(
    _ model: Model, _ stored: ModelShape, _ request: FootprintRequest, _ device: Device, _ kernels: Kernels
  ) throws -> [Candidate] {
    var result = try whole(model, stored, request, device)
    if !recipes, let mixed = try mixed(model, stored, request, device, kernels) {
      result.append(mixed)
      result.sort { $0.bitsPerWeight > $1.bitsPerWeight }
    }
    return result
  }

  private static func best(of candidates: [Candidate]) -> Candidate? {
    candidates.first { $0.name == Self.mixedName && $0.fit.fits } ?? candidates.first { $0.fit.fits }
  }

  private static let mixedName = "per matrix"

  /// A plan with a format for each matrix; the smallest there is when none fits.
  private func mixed(
    _ model: Model, _ stored: ModelShape, _ request: FootprintRequest, _ device: Device, _ kernels: Kernels
  ) throws -> Candidate? {
    let fit = { (plan: QuantizationPlan) throws -> DeviceFit? in
      let shape = stored.formatted(by: plan)
      let planner = try memory.planner(shape, request)
      return try usage { () throws(FootprintError) in try planner.fit(on: device) }
    }
    let usable = try fit(.widenedVectors(of: model))?.usableBytes ?? 0
    let allocator = BudgetAllocator(model, runtime: memory.profile, kernels: kernels)
    let plan = try allocator.plan { plan in
      let shape = stored.formatted(by: plan)
      return usable - (try usage { () throws(FootprintError) in try Footprint(of: shape, for: request) }).totalBytes
    }
    guard let result = try fit(plan) else { return nil }
    return Candidate(
      name: Self.mixedName, plan: plan,
      bitsPerWeight: stored.formatted(by: plan).bitsPerWeight, fit: result)
  }

  private static func parts(of footprint: Footprint) -> String {
    let parts: [(String, Int)] = [
      ("weights", footprint.weightsBytes), ("KV cache", footprint.kvCacheBytes), ("buffers", footprint.computeBytes),
      ("program and tokenizer", footprint.overheadBytes),
    ]
    return parts.filter { $0.1 > 0 }.map { "\($0.0) \(Format.bytes($0.1))" }.joined(separator: ", ")
  }

  /// What was chosen, and what was given up for it.
  private func text(_ best: Candidate, of stored: ModelShape) -> String {
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
    let lines = Format.wrapped(
      "\(best.name): \(bitsPerWeight), \(total) with \(context) (\(Self.parts(of: footprint)))")
    return (lines + ["", table.text(), "", "What that costs: quern verify \(model) OUT --text FILE"]).joined(
      separator: "\n")
  }

  /// Every recipe that does not widen the model, most bits first.
  private func whole(
    _ model: Model, _ stored: ModelShape, _ request: FootprintRequest, _ device: Device
  ) throws -> [Candidate] {
    var candidates: [Candidate] = []
    for recipe in try RecipeBook().recipes where recipe.packing == nil {
      // Ternary types ruin a model that was not trained for them.
      guard ![BlockFormat.tq1_0, .tq2_0].contains(recipe.format) else { continue }
      let plan = try recipe.plan(for: model)
      let shape = stored.formatted(by: plan)
      guard shape.bitsPerWeight <= stored.bitsPerWeight + 0.01 else { continue }
      let planner = try memory.planner(shape, request)
      let fit = try usage { () throws(FootprintError) in try planner.fit(on: device) }
      guard let fit else { continue }
      candidates.append(
        Candidate(
          name: recipe.name, plan: plan, bitsPerWeight: shape.bitsPerWeight, fit: fit))
    }
    return candidates.sorted { $0.bitsPerWeight > $1.bitsPerWeight }
  }

  private func show(_ results: [(device: Device, candidates: [Candidate], best: Candidate?)]) {
    guard common.json else {
      for (number, result) in results.enumerated() {
        print(
          (number > 0 ? "\n" : "") + "\(model) on \(result.device.name)\n\n"
            + Self.table(result.candidates, result.best))
      }
      return
    }
    let objects = results.map { result in
      let plan = result.best?.name == Self.mixedName ? result.best?.plan.steps ?? [] : []
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

  private static func json(_ candidate: Candidate) -> JSONObject {
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

  private static func table(_ candidates: [Candidate], _ best: Candidate?) -> String {
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
