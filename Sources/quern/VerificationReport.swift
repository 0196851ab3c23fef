import Bytes
import Verification

/// A verification for people and for scripts.
enum VerificationReport {
  static func text(_ result: Verification, _ distortions: [Distortion]) -> String {
    var lines = [
      "\(Format.grouped(result.tokenCount)) tokens scored in windows of \(result.context)", "",
      "perplexity      reference \(Format.fixed(result.reference.value, 4)) ± \(Format.fixed(result.reference.standardError, 4))",
      "                candidate \(Format.fixed(result.candidate.value, 4)) ± \(Format.fixed(result.candidate.standardError, 4))",
      "                ratio     \(Format.fixed(result.perplexityRatio, 5)) ± \(Format.fixed(result.perplexityRatioError, 5))",
      "KL divergence   mean      \(Format.fixed(result.divergence.mean, 6)) ± \(Format.fixed(result.divergence.standardError, 6)) nats",
      "                median    \(Format.fixed(result.divergence.median, 6))   p90 \(Format.fixed(result.divergence.p90, 6))"
        + "   p99 \(Format.fixed(result.divergence.p99, 6))   max \(Format.fixed(result.divergence.max, 4))",
      "top token       agrees in \(Format.percent(result.topTokenAgreement))",
    ]
    if !result.layerErrors.isEmpty {
      lines.append(
        "layers          " + sparkline(result.layerErrors)
          + "  relative error of the state, worst \(Format.percent(result.layerErrors.max() ?? 0))")
    }
    if !distortions.isEmpty {
      var table = Table([
        .init(title: "most changed tensors", isFlexible: true), .init(title: "type"),
        .init(title: "relative error", alignsRight: true), .init(title: "largest", alignsRight: true),
      ])
      for row in distortions.sorted(by: { ($0.relative, $1.name) > ($1.relative, $0.name) }).prefix(5) {
        table.add(
          row.name.text, "\(row.reference.name) → \(row.candidate.name)", Format.percent(row.relative),
          Format.short(row.largest))
      }
      lines += ["", table.text()]
    }
    return lines.joined(separator: "\n")
  }

  static func json(_ result: Verification, _ distortions: [Distortion], passed: Bool) -> JSONObject {
    [
      "reference": .object([
        "perplexity": .double(result.reference.value), "perplexityError": .double(result.reference.standardError),
      ]),
      "candidate": .object([
        "perplexity": .double(result.candidate.value), "perplexityError": .double(result.candidate.standardError),
      ]),
      "perplexityRatio": .double(result.perplexityRatio), "perplexityRatioError": .double(result.perplexityRatioError),
      "kld": .object([
        "mean": .double(result.divergence.mean), "meanError": .double(result.divergence.standardError),
        "median": .double(result.divergence.median), "p90": .double(result.divergence.p90),
        "p99": .double(result.divergence.p99), "max": .double(result.divergence.max),
      ]),
      "topTokenAgreement": .double(result.topTokenAgreement), "tokens": .integer(result.tokenCount),
      "context": .integer(result.context),
      "layers": .array(
        result.layerErrors.enumerated().map { .object(["layer": .integer($0), "relativeError": .double($1)]) }),
      "tensors": .array(
        distortions.map {
          .object([
            "name": .string($0.name), "from": .text($0.reference.name), "to": .text($0.candidate.name),
            "rmse": .double($0.rootMeanSquare), "relativeError": .double($0.relative), "largest": .double($0.largest),
          ])
        }),
      "passed": .bool(passed),
    ]
  }

  /// One block per value, at most 40 of them, scaled to the largest.
  private static func sparkline(_ values: [Double]) -> String {
    let blocks = Array("▁▂▃▄▅▆▇█")
    let top = values.max() ?? 0
    let step = max(1, (values.count + 39) / 40)
    return String(
      stride(from: 0, to: values.count, by: step).map { at in
        let value = values[at..<min(at + step, values.count)].max() ?? 0
        guard top > 0, value.isFinite else { return blocks[0] }
        return blocks[min(7, Int(value / top * 7.999))]
      })
  }
}
