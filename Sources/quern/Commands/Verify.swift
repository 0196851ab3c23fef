import ArgumentParser
import Bytes
import Catalog
import Conversion
import IR
import Kernels
import Runtime
import SystemPackage
import Tokenizers
import Verification

struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prove what a candidate lost against a reference, on a text.",
    discussion: """
      Both models run side by side over windows of the text; the second half of each window is scored, as \
      llama-perplexity does it, so figures compare. Nothing is written. A threshold that is not met ends with status 3. \
      With one MODEL only, its perplexity is measured. Encoders are compared by their embeddings of the text's lines, and, \
      where they have a head for it, by what they put in place of masked tokens. --kv is the candidate's: the reference \
      keeps the arithmetic's own cache, so that a model beside itself shows what a smaller cache costs.

        quern verify model.gguf model-int4.gguf --text eval.txt
        quern verify f16.gguf int4.gguf --text eval.txt --max-kld 0.05 --max-ppl-increase 1%
        quern verify model.gguf model.gguf --text eval.txt --kv q4_0
      """)

  @Argument(help: "The model that is right: usually the unquantized one.")
  var reference: FilePath

  @Argument(help: "The model to judge.")
  var candidate: FilePath?

  @Option(help: "A UTF-8 text file.")
  var text: FilePath

  @Option(help: "Tokens per window (default: the model's own context, at most 512).")
  var context: Int?

  @Option(help: "The most windows to run (default: the whole text).")
  var windows: Int?

  @Option(help: "exact (decoded weights, F32 arithmetic) or fast.")
  var arithmetic: Arithmetic = .fast

  @Option(name: .customLong("max-kld"), help: "Fail above this mean KL divergence, in nats per token.")
  var maxDivergence: Double?

  @Option(name: .customLong("max-ppl-increase"), help: "Fail above this increase of perplexity: 1% or 0.01.")
  var maxPerplexityIncrease: String?

  @Option(name: .customLong("min-agreement"), help: "Fail below this share of equal top tokens: 95% or 0.95.")
  var minAgreement: String?

  @Option(name: .customLong("min-cosine"), help: "Encoders: fail where the worst embedding's cosine is below this.")
  var minCosine: Double?

  @OptionGroup var cache: CacheOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let windows, windows < 1 { throw ValidationError("--windows takes at least 1, not \(windows)") }
    if let context, context < 8 { throw ValidationError("--context takes at least 8, not \(context)") }
    if let maxDivergence, !(maxDivergence >= 0) {
      throw ValidationError("--max-kld takes 0 or more, not \(maxDivergence)")
    }
  }

  func run() throws {
    let processor = try common.processor()
    let thresholds = try self.thresholds()
    let opened = try OpenedModel(reference, common)
    let other = try candidate.map { try OpenedModel($0, common) }
    switch opened.architecture.graph.kind {
    case .decoder: break
    case .encoder:
      guard cache.kv == nil else { throw UsageError(CacheOptions.refusal) }
      return try verifyEncoders(opened, other, thresholds, processor)
    case .encoderDecoder:
      throw UsageError("verify compares models that continue or encode one text; this one answers one with another")
    }
    guard thresholds.cosine == nil else { throw UsageError("--min-cosine is for encoders") }
    let windows = try cut(opened)
    guard let other else {
      guard thresholds.divergence == nil, thresholds.increase == nil, thresholds.agreement == nil else {
        throw UsageError("a threshold needs a CANDIDATE to judge")
      }
      return try measureAlone(opened, windows, processor)
    }
    let sizes = [opened, other].map { $0.model.hyperparameters.integer("vocab_size") ?? 0 }
    guard sizes[0] == sizes[1] else {
      throw UsageError(
        "the vocabularies differ: \(sizes[0]) and \(sizes[1]) tokens; these are not versions of one model")
    }
    let left = try RunningModel(opened, arithmetic: arithmetic, processor: processor, isQuiet: common.json)
    let right = try RunningModel(
      other, arithmetic: arithmetic, cache: cache, processor: processor, isQuiet: common.json)
    let progress = Progress("verify", total: windows.count, unit: .windows, isShown: !common.json)
    let verification = try Verification(
      reference: left.transformer, candidate: right.transformer, windows: windows, kernels: processor.kernels,
      pool: processor.pool
    ) { _ in progress.advance(1) }
    progress.finish()
    let distortions = try opened.model.tensors.compactMap { tensor throws -> Distortion? in
      guard let match = other.model[tensor.name], match.shape == tensor.shape, match.format != tensor.format else {
        return nil
      }
      return try Distortion.measure(tensor, match, kernels: processor.kernels, pool: processor.pool)
    }
    let failures = thresholds.failures(verification)
    if common.json {
      printJSON(VerificationReport.json(verification, distortions, passed: failures.isEmpty))
    } else {
      print(VerificationReport.text(verification, distortions))
    }
    if !failures.isEmpty { throw ThresholdError(description: failures.joined(separator: "\n")) }
  }

  private func cut(_ opened: OpenedModel) throws -> Windows {
    try opened.windows(of: text, context: context, limit: windows)
  }

  private func measureAlone(_ opened: OpenedModel, _ windows: Windows, _ processor: Processor) throws {
    let running = try RunningModel(
      opened, arithmetic: arithmetic, cache: cache, processor: processor, isQuiet: common.json)
    let progress = Progress("verify", total: windows.count, unit: .windows, isShown: !common.json)
    let result = try PerplexityRun(
      running.transformer, windows: windows, kernels: processor.kernels, pool: processor.pool
    ) { _ in progress.advance(1) }
    progress.finish()
    if common.json {
      return printJSON([
        "reference": .object([
          "perplexity": .double(result.perplexity.value), "perplexityError": .double(result.perplexity.standardError),
        ]), "tokens": .integer(result.tokenCount), "context": .integer(windows.context),
      ])
    }
    print(
      "perplexity \(Format.fixed(result.perplexity.value, 4)) ± \(Format.fixed(result.perplexity.standardError, 4)) "
        + "over \(Format.grouped(result.tokenCount)) tokens in windows of \(windows.context)")
  }

  private func thresholds() throws -> VerificationThresholds {
    let share = { (text: String?, option: String) throws -> Double? in
      guard let text else { return nil }
      let isPercent = text.hasSuffix("%")
      guard let value = Double(isPercent ? String(text.dropLast()) : text), value.isFinite, value >= 0 else {
        throw UsageError("\(option) takes a share such as 1% or 0.01, not '\(text)'")
      }
      return isPercent ? value / 100 : value
    }
    return VerificationThresholds(
      divergence: maxDivergence, increase: try share(maxPerplexityIncrease, "--max-ppl-increase"),
      agreement: try share(minAgreement, "--min-agreement"), cosine: minCosine)
  }
}

/// What a candidate must reach.
struct VerificationThresholds {
  let divergence: Double?
  let increase: Double?
  let agreement: Double?
  let cosine: Double?

  /// One line per threshold that was not met. A result that is no number meets none.
  func failures(_ result: Verification) -> [String] {
    var lines: [String] = []
    if let divergence, !(result.divergence.mean <= divergence) {
      lines.append("mean KL divergence \(Format.short(result.divergence.mean)) exceeds --max-kld \(divergence)")
    }
    if let increase, !(result.perplexityRatio - 1 <= increase) {
      lines.append(
        "perplexity rose by \(Format.percent(result.perplexityRatio - 1)), more than --max-ppl-increase \(Format.percent(increase))"
      )
    }
    if let agreement, !(result.topTokenAgreement >= agreement) {
      lines.append(
        "top tokens agree in \(Format.percent(result.topTokenAgreement)), less than --min-agreement \(Format.percent(agreement))"
      )
    }
    return lines
  }
}
