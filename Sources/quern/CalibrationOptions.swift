import ArgumentParser
import Calibration
import Conversion
import IR
import Kernels
import Passes
import SystemPackage
import Verification

/// How a text that the model reads helps to quantize it.
struct CalibrationOptions: ParsableArguments {
  enum Method: String, ExpressibleByArgument, CaseIterable {
    case feedback, sequential
  }

  @Option(
    name: .customLong("calibrate"),
    help: ArgumentHelp(
      "A UTF-8 text like what the model will read: rounding errors are fed forward (GPTQ) by what its layers see. "
        + "'self': what the model writes by itself, where no text is at hand.",
      valueName: "text"))
  var text: FilePath?

  /// The model has to write what it reads.
  var isOwnText: Bool { text == "self" }

  @Option(
    help: ArgumentHelp(
      "sequential: each layer makes up for the errors before it (best). feedback: each layer alone (faster).",
      valueName: "method"))
  var method: Method = .sequential

  @Option(help: "Tokens of the text to use, spread over all of it (default: 32768, or 12288 that the model writes).")
  var calibrationTokens: Int?

  @Option(help: "Tokens per calibration window (default: the model's own context, at most 512).")
  var calibrationContext: Int?

  @Option(help: .hidden)
  var damping = FeedbackSettings().damping

  @Option(help: .hidden)
  var sweeps = 2

  @Option(help: .hidden)
  var fisherMegabytes = 256

  @Option(help: .hidden)
  var gradientTokens = 8192

  @Flag(inversion: .prefixedNo, help: .hidden)
  var tokenWeights = false

  @Flag(inversion: .prefixedNo, help: .hidden)
  var residualTargets = false

  @Flag(
    help: "Give columns with large inputs finer steps, made up for in the norm before, where it measures better (AWQ).")
  var activationScaling = false

  func validate() throws {
    if let calibrationTokens, calibrationTokens < 8 {
      throw ValidationError("--calibration-tokens takes at least 8, not \(calibrationTokens)")
    }
    if let calibrationContext, calibrationContext < 8 {
      throw ValidationError("--calibration-context takes at least 8, not \(calibrationContext)")
    }
    if !(damping > 0 && damping < 10) { throw ValidationError("--damping takes more than 0, not \(damping)") }
  }

  /// The text's windows, as many as were asked for, evenly spread; nil without a text, or where the model writes it.
  func windows(_ opened: OpenedModel) throws -> [[Int]]? {
    guard let text, !isOwnText else { return nil }
    let all = try opened.windows(of: text, context: calibrationContext, option: "--calibration-context")
    let wanted = min(all.count, max(1, (calibrationTokens ?? 32768) / all.context))
    return (0..<wanted).map { all[$0 * all.count / wanted] }
  }

  /// The windows that the model writes, where it is to: this takes minutes.
  func ownText(_ opened: OpenedModel, _ processor: Processor, isQuiet: Bool) throws -> [[Int]]? {
    guard isOwnText else { return nil }
    guard opened.architecture.graph.kind == .decoder else {
      throw UsageError("only decoders write a text of their own: give --calibrate a text")
    }
    let context = calibrationContext ?? min(opened.model.hyperparameters.integer("context_length") ?? 512, 512)
    guard context >= 8 else {
      throw UsageError("the model's context of \(context) is too short; give --calibration-context")
    }
    let running = try RunningModel(opened, arithmetic: .fast, processor: processor, isQuiet: isQuiet)
    let count = max(1, (calibrationTokens ?? 12288) / context)
    let progress = Progress("writing", total: count * context, unit: .tokens, isShown: !isQuiet)
    let text = OwnText(running.transformer, context: context, beginning: opened.model.tokenizer?.bosID)
    do {
      let windows = try text.windows(count) { progress.advance($0) }
      progress.finish()
      return windows
    } catch { throw ConversionError.calibration(path: opened.checkpoint.path, .runtime(error)) }
  }

  /// The gradient's covariances where they can be had, from as many windows at a time as fit the memory set aside.
  private func fisher(
    _ opened: OpenedModel, _ windows: [[Int]], _ processor: Processor, isQuiet: Bool
  ) throws -> Fisher? {
    guard fisherMegabytes > 0, let context = windows.first?.count,
      FisherEstimator.supports(opened.model, graph: opened.architecture.graph)
    else { return nil }
    do {
      let estimator = try FisherEstimator(opened.model, graph: opened.architecture.graph, processor: processor)
      // Weights are wanted for all tokens; for covariances some are enough.
      let count = tokenWeights ? windows.count : max(1, min(windows.count, gradientTokens / context))
      let progress = Progress("gradient", total: 1000, unit: .thousandths, isShown: !isQuiet)
      var shown = 0
      let fisher = try estimator.run(
        (0..<count).map { windows[$0 * windows.count / count] },
        batch: estimator.affordableWindows(of: context, within: fisherMegabytes << 20)
      ) { share in
        progress.advance(Int(share * 1000) - shown)
        shown = Int(share * 1000)
      }
      progress.finish()
      return fisher
    } catch {
      throw ConversionError.calibration(path: opened.checkpoint.path, error)
    }
  }

  /// The model after it has read its windows; its gradient takes a while.
  func text(
    _ opened: OpenedModel, _ windows: [[Int]], _ processor: Processor, isQuiet: Bool
  ) throws -> CalibrationText {
    CalibrationText(
      opened: opened, windows: windows, fisher: try fisher(opened, windows, processor, isQuiet: isQuiet))
  }

  func quantizer(
    _ text: CalibrationText, plan: QuantizationPlan, processor: Processor
  ) throws -> any ModelQuantizer {
    var settings = FeedbackSettings()
    settings.damping = damping
    settings.sweeps = sweeps
    settings.isSequential = method == .sequential
    settings.weighsTokens = tokenWeights
    settings.fitsResidual = residualTargets
    settings.scalesActivations = activationScaling
    do {
      return try makeModelQuantizer(
        text.opened.model, graph: text.opened.architecture.graph, plan: plan, windows: text.windows,
        fisher: text.fisher, settings: settings, processor: processor)
    } catch { throw ConversionError.calibration(path: text.opened.checkpoint.path, error) }
  }
}
