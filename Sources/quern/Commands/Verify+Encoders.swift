import Bytes
import Conversion
import Kernels
import Runtime
import Tokenizers
import Verification

extension Verify {
  /// Each line of the text is a sequence; `--windows` limits their number, `--context` their length.
  func verifyEncoders(
    _ opened: OpenedModel, _ other: OpenedModel?, _ thresholds: VerificationThresholds, _ processor: Processor
  ) throws {
    guard let other else { throw UsageError("encoders are compared: name a CANDIDATE as well") }
    guard thresholds.increase == nil else { throw UsageError("--max-ppl-increase is for models that continue a text") }
    let tokenizer = try opened.tokenizer()
    let left = try RunningModel(opened, arithmetic: arithmetic, processor: processor, isQuiet: common.json)
    let right = try RunningModel(other, arithmetic: arithmetic, processor: processor, isQuiet: common.json)
    _ = try (left.encoder(rows: 1), right.encoder(rows: 1))
    let sizes = [left, right].map { ($0.transformer.configuration.vocabularySize, $0.transformer.configuration.width) }
    guard sizes[0] == sizes[1] else { throw UsageError("these are not versions of one model: their shapes differ") }
    let sequences = try sequences(left, tokenizer)
    let progress = Progress("verify", total: sequences.count, unit: .texts, isShown: !common.json)
    let result = try EncoderVerification(
      reference: left.transformer, candidate: right.transformer, sequences: sequences,
      mask: tokenizer.maskToken, keeps: { tokenizer.isSpecialToken(Int32($0)) },
      kernels: processor.kernels,
      pool: processor.pool
    ) { _ in progress.advance(1) }
    progress.finish()
    let failures = thresholds.failures(result)
    if common.json {
      printJSON(VerificationReport.json(result, passed: failures.isEmpty))
    } else {
      print(VerificationReport.text(result))
    }
    if !failures.isEmpty { throw ThresholdError(description: failures.joined(separator: "\n")) }
  }

  private func sequences(_ running: RunningModel, _ tokenizer: Tokenizer) throws -> [[Int]] {
    let bytes = try InputFile.contents(of: text, limit: 1 << 30)
    guard let content = String(validating: bytes, as: UTF8.self) else {
      throw ConversionError.unrecognized(path: text, detail: "not a UTF-8 text")
    }
    let encoding = try EncoderText(running, tokenizer: tokenizer, maximum: context)
    let lines = content.split(whereSeparator: \.isNewline).filter { !$0.allSatisfy(\.isWhitespace) }
    guard !lines.isEmpty else { throw UsageError("\(text) has no lines to compare on") }
    return try lines.prefix(windows ?? lines.count).map { try encoding.tokens(of: String($0)) }
  }
}

extension VerificationThresholds {
  /// One line per threshold that was not met. A result that is no number meets none.
  func failures(_ result: EncoderVerification) -> [String] {
    var lines: [String] = []
    if let cosine, !(result.worstCosine >= cosine) {
      lines.append(
        "the worst cosine of embeddings is \(Format.fixed(result.worstCosine, 6)), below --min-cosine \(cosine)")
    }
    if let divergence, !(result.divergence.map { $0.mean <= divergence } ?? false) {
      let found = result.divergence.map { Format.short($0.mean) } ?? "not known without a head over the vocabulary"
      lines.append("mean KL divergence of masked tokens is \(found), above --max-kld \(divergence)")
    }
    if let agreement, !(result.topTokenAgreement.map { $0 >= agreement } ?? false) {
      let found = result.topTokenAgreement.map { Format.percent($0) } ?? "no"
      lines.append("masked tokens agree in \(found) cases, less than --min-agreement \(Format.percent(agreement))")
    }
    return lines
  }
}

extension VerificationReport {
  static func text(_ result: EncoderVerification) -> String {
    var lines = [
      "\(Format.grouped(result.sequenceCount)) sequences", "",
      "cosine of embeddings  mean   \(Format.fixed(result.cosine.mean, 7))",
      "                      worst  \(Format.fixed(result.worstCosine, 7))",
    ]
    if let divergence = result.divergence, let agreement = result.topTokenAgreement {
      lines += [
        "masked tokens         \(Format.grouped(result.maskedTokenCount)), KL divergence mean "
          + "\(Format.fixed(divergence.mean, 6)) ± \(Format.fixed(divergence.standardError, 6)) nats, max "
          + Format.fixed(divergence.max, 4),
        "top token             agrees in \(Format.percent(agreement))",
      ]
    }
    return lines.joined(separator: "\n")
  }

  static func json(_ result: EncoderVerification, passed: Bool) -> JSONObject {
    var object: JSONObject = [
      "sequences": .integer(result.sequenceCount),
      "cosine": .object([
        "mean": .double(result.cosine.mean), "worst": .double(result.worstCosine),
        "median": .double(result.cosine.median),
      ]),
    ]
    if let divergence = result.divergence, let agreement = result.topTokenAgreement {
      object["maskedTokens"] = .integer(result.maskedTokenCount)
      object["kld"] = .object([
        "mean": .double(divergence.mean), "meanError": .double(divergence.standardError),
        "median": .double(divergence.median), "p90": .double(divergence.p90), "p99": .double(divergence.p99),
        "max": .double(divergence.max),
      ])
      object["topTokenAgreement"] = .double(agreement)
    }
    object["passed"] = .bool(passed)
    return object
  }
}
