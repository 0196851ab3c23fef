import ArgumentParser
import Bytes
import Calibration
import Codecs
import Conversion
import Footprint
import GGUF
import IR
import Kernels
import Passes
import SystemPackage
import Verification

struct Quantize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a model smaller: int8, int4 and everything between.",
    discussion: """
      `quern recipes` lists the recipes. --tensor sends tensors whose name a regular expression finds to a type of \
      their own; the first that matches wins. --dry-run shows the plan without writing; --save-plan keeps it as a file \
      that can be edited and followed with --plan. OUT.report.json says what was made from what.

        quern quantize ./SmolLM2-135M -o smollm2-int4.gguf --recipe int4
        quern quantize model.gguf -o out.gguf --recipe q4_k_m --imatrix imatrix.gguf
        quern quantize model.gguf -o out.gguf --recipe q4_0 --tensor 'ffn_down=q8_0'
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @OptionGroup var output: OutputOptions
  @OptionGroup var planning: PlanOptions

  @Option(help: "Weigh errors by the importance of input channels: a file by llama-imatrix, .gguf or .dat.")
  var imatrix: FilePath?

  @Flag(help: "Show the plan and the resulting size; write nothing.")
  var dryRun = false

  @Flag(help: "Write no OUT.report.json.")
  var noReport = false

  @Option(
    name: .customLong("verify"),
    help: ArgumentHelp(
      "Compare the output with the model on this text and report perplexity and KL divergence.", valueName: "text"))
  var verificationText: FilePath?

  @OptionGroup(title: "Allocation") var allocation: AllocationOptions

  @OptionGroup(title: "Calibration") var calibration: CalibrationOptions

  @OptionGroup var common: CommonOptions

  func run() throws {
    let processor = try common.processor()
    let importance = try imatrix.map { path throws(ImportanceError) in try ImportanceFile.read(path) }
    // Mistakes in the call are told before a model is opened.
    _ = try planning.chosenRecipe()
    // Opening a file and hashing it go side by side.
    let isHashed = !noReport && !dryRun && processor.pool.threads > 1 && !FileSystem.isDirectory(model)
    let begun = isHashed ? FileDigest(of: model, inBackground: true) : nil
    let opened = try OpenedModel(model, common)
    UntilExit.keep(opened)
    var windows = try calibration.windows(opened)
    // A text that is missing is told before the work, not after it.
    let verification = try verificationText.map {
      try opened.windows(of: $0, context: calibration.calibrationContext, option: "--calibration-context")
    }
    let isCalibrated = calibration.text != nil
    if allocation.isWanted, !isCalibrated {
      throw UsageError("to choose types by what they lose, the model must read something: add --calibrate TEXT")
    }
    var plan = try planning.plan(
      for: opened.model, at: model, isCalibrated: importance != nil || isCalibrated, kernels: processor.kernels)
    if let packing = plan.packing, isCalibrated,
      !plan.steps.contains(where: { $0.isPacked && packing.grid(for: $0.shape, scaleFormat: .f16) != nil })
    {
      throw UsageError("\(packing.label) has no error feedback; leave --calibrate out")
    }
    if allocation.isWanted, !ProbedSensitivity.supports(opened.model, graph: opened.architecture.graph) {
      throw UsageError(
        "what a type loses is measured at the logits of decoders, and \(opened.model.family) is none: choose a recipe "
          + "instead of --target-size, --bits or --max-kld")
    }
    if plan.packing != nil, allocation.isWanted {
      throw UsageError("\(plan.recipe ?? "this plan") has one type for all; --target-size is for GGUF's block types")
    }
    windows = try windows ?? calibration.ownText(opened, processor, isQuiet: common.json)
    let text = try windows.map { try calibration.text(opened, $0, processor, isQuiet: common.json) }
    if let text, allocation.isWanted {
      let draft = try ConversionJob(
        opened, plan: plan, ggufFileType: plan.ggufFileType, container: output.container(),
        kernels: processor.kernels)
      plan = try allocation.allocate(
        plan, after: text,
        overrides: planning.overrides(for: opened.model, at: model, kernels: processor.kernels),
        fixedBytes: draft.outputByteCount() - plan.byteCount, processor: processor, isQuiet: common.json)
    }
    try planning.save(plan)
    if dryRun { return try show(plan, for: opened) }
    let quantizer = try text.map { try calibration.quantizer($0, plan: plan, processor: processor) }
    let job = try ConversionJob(
      opened, plan: plan, ggufFileType: plan.ggufFileType, container: output.container(), importance: importance,
      calibrated: quantizer?.encodedNames ?? [], kernels: processor.kernels)
    _ = try output.maximumShardBytes()
    if !common.json { print(PlanTable.summary(of: plan) + "\n") }
    let early =
      QuantizationWarnings.before(plan) + unweighted(plan, importance, in: opened.model)
      + (isCalibrated && importance == nil ? unread(plan, kernels: processor.kernels) : [])
    let outputPath = try output.requiredOutput()
    let report = QuantizationReport(
      opened: opened, plan: plan, importancePath: imatrix, importance: importance, calibration: calibration,
      windows: windows, begun: begun)
    try output.perform(
      job, label: "quantize", calibration: quantizer, processor: processor, asJSON: common.json,
      companions: { result throws(FileError) in
        guard !noReport else { return [] }
        return [try report.file(result, output: outputPath, warnings: early + QuantizationWarnings.all(result, plan))]
      },
      meanwhile: { [digests = report.digests, noReport] in if !noReport { digests.compute() } },
      warnings: { early + QuantizationWarnings.after($0, plan) },
      afterwards: { result in
        guard let verification else { return nil }
        let (text, json) = try verify(opened, result.path, on: verification, processor)
        if !noReport {
          // Written again, now that there is more to say.
          try report.file(
            result, output: outputPath, warnings: early + QuantizationWarnings.all(result, plan), more: json
          ).commit()
        }
        return (text, json)
      })
  }

  /// The output beside the model it was made of.
  private func verify(
    _ opened: OpenedModel, _ output: FilePath, on windows: Windows, _ processor: Processor
  ) throws -> (text: String, json: JSONObject) {
    let reference = try RunningModel(opened, arithmetic: .fast, processor: processor, isQuiet: common.json)
    let candidate = try RunningModel(
      OpenedModel(output, common), arithmetic: .fast, processor: processor, isQuiet: common.json)
    let progress = Progress("verify", total: windows.count, unit: .windows, isShown: !common.json)
    let result = try Verification(
      reference: reference.transformer, candidate: candidate.transformer, windows: windows, kernels: processor.kernels,
      pool: processor.pool
    ) { _ in progress.advance(1) }
    progress.finish()
    return (
      VerificationReport.text(result, []),
      ["verification": .object(VerificationReport.json(result, [], passed: true))]
    )
  }

  /// An imatrix that fits nothing, or leaves matrices out, is probably another model's.
  private func unweighted(_ plan: QuantizationPlan, _ importance: Importance?, in model: Model) -> [String] {
    guard let importance else { return [] }
    let packed = plan.steps.filter { $0.to.kind == .packed && $0.to != $0.from }
    // llama-imatrix sees neither the embedding nor, unless asked, the head.
    let expected = packed.filter { $0.name != "token_embd.weight" && $0.name != "output.weight" }
    let missing = expected.filter { importance.weights(of: $0.name, shape: $0.shape) == nil }
    guard let first = missing.first else { return [] }
    return [
      "the imatrix says nothing that fits \(first.name)"
        + (missing.count > 1 ? " and \(missing.count - 1) other matrices" : "") + "; they are quantized without it"
    ]
  }

  /// A text reaches matrices by error feedback, which the lattice and ternary formats do not have.
  private func unread(_ plan: QuantizationPlan, kernels: Kernels) -> [String] {
    let missed = plan.steps.filter { step in
      step.to.kind == .packed && step.to != step.from && step.name != "token_embd.weight"
        && Codec.for(step.to, kernels: kernels)?.canEncodeWithFeedback == false
    }
    guard let first = missed.first else { return [] }
    return [
      "\(first.to.name) has no error feedback: \(first.name)"
        + (missed.count > 1 ? " and \(missed.count - 1) other matrices are" : " is")
        + " rounded without the text; --imatrix with a file from `quern imatrix` weighs the columns there"
    ]
  }

  private func show(_ plan: QuantizationPlan, for opened: OpenedModel) throws {
    if common.json {
      return printJSON([
        "tensorBytes": .integer(plan.byteCount), "bitsPerWeight": .double(plan.bitsPerWeight),
        "tensors": .array(
          plan.steps.map { step in
            .object([
              "name": .string(step.name), "shape": .array(step.shape.dimensions.map { .integer($0) }),
              "from": .text(step.from.name), "to": .text(PlanTable.stored(step, plan)), "reason": .text(step.reason),
            ])
          }),
      ])
    }
    print(PlanTable.full(of: plan))
    if calibration.text == nil, let cost = try ConversionCost(of: plan, for: opened, threads: common.threads) {
      print("\n" + Format.wrapped("To write it: " + cost.sentence).joined(separator: "\n"))
    }
  }
}
