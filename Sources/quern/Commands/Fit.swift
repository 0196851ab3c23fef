import ArgumentParser
import Bytes
import Conversion
import Footprint
import IR
import Passes

struct Fit: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Quantize a model as little as a device's memory allows.",
    discussion: """
      Counts weights, KV cache and buffers for every recipe, takes the one with most bits per weight that fits, and \
      writes the model. --dry-run only shows the table.

        quern fit ./SmolLM2-135M --vram 150MB --context 2048 -o fitted.gguf
        quern fit model.gguf --device "RTX 3060" --profile llama.cpp --context 8192 --dry-run
      """)

  @Argument(help: "A Hugging Face directory or .gguf file; with --dry-run also a config.json or a name.")
  var model: String

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Show what would fit; write nothing.")
  var dryRun = false

  @OptionGroup var common: CommonOptions

  private struct Candidate {
    let recipe: Recipe
    let plan: QuantizationPlan
    let bitsPerWeight: Double
    let fit: DeviceFit

    var name: String { recipe.name }
  }

  func run() throws {
    let described = try DescribedModel(model)
    let devices = try memory.devices()
    guard let device = devices.first, devices.count == 1 else {
      throw UsageError("say one device: --device NAME or --vram SIZE")
    }
    let candidates = try candidates(described.model, device)
    let best = candidates.filter { $0.fit.fits }.max { $0.bitsPerWeight < $1.bitsPerWeight }
    if dryRun { return show(candidates, best, device) }
    guard let best else {
      let least = candidates.min { $0.fit.footprint.totalBytes < $1.fit.footprint.totalBytes }
      throw ThresholdError(
        description: "nothing fits \(device.name)"
          + (least.map {
            ": \($0.name) needs \(Format.bytes($0.fit.footprint.totalBytes)) of \(Format.bytes($0.fit.usableBytes)), and "
              + ($0.fit.maxContext > 0 ? "would fit with --context \($0.fit.maxContext)" : "no context is short enough")
          } ?? ""))
    }
    if !common.json {
      print(
        "\(best.name): \(Format.fixed(best.bitsPerWeight, 2)) bits per weight, \(Format.bytes(best.fit.footprint.totalBytes)) "
          + "of \(Format.bytes(best.fit.usableBytes)) with \(best.fit.footprint.context) tokens of context")
    }
    let processor = try common.processor()
    let opened = try OpenedModel(.init(model))
    let job = try ConversionJob(
      opened, plan: best.plan, ggufFileType: best.recipe.ggufFileType, container: output.container(),
      kernels: processor.kernels)
    try output.perform(job, label: "fit", processor: processor, asJSON: common.json)
  }

  /// Every recipe that does not widen the model, most bits first.
  private func candidates(_ model: Model, _ device: Device) throws -> [Candidate] {
    let stored = ModelShape(model)
    var request = try memory.request(for: stored)
    request.device = device
    var candidates: [Candidate] = []
    for recipe in try RecipeBook().recipes where recipe.packing == nil {
      let plan = try recipe.plan(for: model)
      let formats = Dictionary(plan.steps.map { ($0.name, $0.to) }, uniquingKeysWith: { first, _ in first })
      let shape = stored.formatted { name, _, stored in formats[name] ?? stored }
      guard shape.bitsPerWeight <= stored.bitsPerWeight + 0.01 else { continue }
      let fit = try usage { () throws(FootprintError) in try FitPlanner(shape, request).fit(on: device) }
      guard let fit else { continue }
      candidates.append(Candidate(recipe: recipe, plan: plan, bitsPerWeight: shape.bitsPerWeight, fit: fit))
    }
    return candidates.sorted { $0.bitsPerWeight > $1.bitsPerWeight }
  }

  private func show(_ candidates: [Candidate], _ best: Candidate?, _ device: Device) {
    if common.json {
      return printJSON([
        "model": .text(model), "device": .text(device.name), "recipe": best.map { .text($0.name) } ?? .null,
        "candidates": .array(
          candidates.map {
            .object([
              "recipe": .text($0.name), "bitsPerWeight": .double($0.bitsPerWeight),
              "totalBytes": .integer($0.fit.footprint.totalBytes), "fits": .bool($0.fit.fits),
              "headroomBytes": .integer($0.fit.headroomBytes), "maxContext": .integer($0.fit.maxContext),
            ])
          }),
      ])
    }
    var table = Table([
      .init(title: "recipe"), .init(title: "bits", alignsRight: true), .init(title: "needs", alignsRight: true),
      .init(title: "to spare", alignsRight: true), .init(title: "longest context", alignsRight: true), .init(title: ""),
    ])
    for candidate in candidates {
      table.add(
        candidate.name, Format.fixed(candidate.bitsPerWeight, 2), Format.bytes(candidate.fit.footprint.totalBytes),
        Format.bytes(candidate.fit.headroomBytes), Format.grouped(candidate.fit.maxContext),
        candidate.name == best?.name ? "this one" : candidate.fit.fits ? "fits" : "")
    }
    print("\(model) on \(device.name)\n\n\(table.text())")
  }
}
