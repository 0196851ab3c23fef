import ArgumentParser
import Bytes
import Codecs
import Conversion
import IR
import Passes
import SystemPackage

struct Quantize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model smaller: int8, int4 and everything between.",
    discussion: """
      `quern recipes` lists the recipes. --tensor sends tensors whose name a regular expression finds to a type of \
      their own; the first that matches wins. --dry-run shows the plan without writing.

        quern quantize ./SmolLM2-135M -o smollm2-int4.gguf --recipe int4
        quern quantize model.gguf -o out.gguf --recipe q4_0 --tensor 'ffn_down=q8_0'
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @OptionGroup var output: OutputOptions

  @Option(help: "How to choose types; see: quern recipes")
  var recipe = "int4"

  @Option(name: .customLong("tensor"), help: ArgumentHelp("A type for some tensors.", valueName: "regex=type"))
  var tensors: [String] = []

  @Flag(help: "Show the plan and the resulting size; write nothing.")
  var dryRun = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let processor = try common.processor()
    let book = try RecipeBook()
    guard let recipe = book[recipe] else {
      throw UsageError("no recipe is called '\(recipe)'; there are: \(book.names.joined(separator: ", "))")
    }
    let overrides = try tensors.map { text throws(UsageError) in
      guard let override = FormatOverride(text) else {
        throw UsageError("--tensor takes 'REGEX=TYPE' with a type such as q8_0 or f16, not '\(text)'")
      }
      guard Codec.for(override.format, kernels: processor.kernels)?.canEncode == true else {
        let possible = BlockFormat.all.filter { Codec.for($0, kernels: processor.kernels)?.canEncode == true }
        throw UsageError(
          "\(override.format.name) can only be read, not written; for --tensor there are: "
            + possible.map { $0.name.lowercased() }.joined(separator: ", "))
      }
      return override
    }
    let opened = try OpenedModel(model)
    for override in overrides where !opened.model.tensors.contains(where: { override.matches($0.name) }) {
      throw UsageError("--tensor \(override.pattern) finds no tensor; for the names: quern inspect --tensors \(model)")
    }
    let plan: QuantizationPlan
    do { plan = try recipe.plan(for: opened.model, overrides: overrides) } catch { throw ConversionError.pass(error) }
    if dryRun { return show(plan) }
    let job = try ConversionJob(
      opened, plan: plan, ggufFileType: recipe.ggufFileType, container: output.container(), kernels: processor.kernels)
    try output.perform(job, label: "quantize", processor: processor, asJSON: common.json)
  }

  private func show(_ plan: QuantizationPlan) {
    if common.json {
      return printJSON([
        "tensorBytes": .integer(plan.byteCount), "bitsPerWeight": .double(plan.bitsPerWeight),
        "tensors": .array(
          plan.steps.map { step in
            .object([
              "name": .string(step.name), "shape": .array(step.shape.dimensions.map { .integer($0) }),
              "from": .text(step.from.name), "to": .text(step.to.name), "reason": .text(step.reason),
            ])
          }),
      ])
    }
    var table = Table([
      .init(title: "tensor", isFlexible: true), .init(title: "shape"), .init(title: "from"), .init(title: "to"),
      .init(title: "because"),
    ])
    for step in plan.steps { table.add(step.name.text, "\(step.shape)", step.from.name, step.to.name, step.reason) }
    print(table.text())
    print("\n\(Format.bytes(plan.byteCount)) of tensors, \(Format.fixed(plan.bitsPerWeight, 2)) bits per weight")
  }
}
