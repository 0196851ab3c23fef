public import IR

extension RotaryEmbedding {
  /// The parameters of Llama 3's scaling that give these frequency factors, or nil when none do.
  ///
  /// GGUF stores only the factors. Every release so far has 1 and 4 for the low and high ends, so the factor is the
  /// largest one and the original context follows from any pair in between; the result is checked against all of them.
  public static func llama3Parameters(
    matching factors: [Double], hyperparameters: Hyperparameters
  ) -> [(name: String, value: Hyperparameters.Value)]? {
    guard let factor = factors.max(), factor > 1, factors.contains(where: { $0 > 1 && $0 < factor }) else { return nil }
    for exponent in 4...22 {
      let context = 1 << exponent
      var candidate = hyperparameters
      candidate["rope.frequency_factors"] = nil
      let parameters: [(String, Hyperparameters.Value)] = [
        ("rope.scaling.type", .string("llama3")), ("rope.scaling.factor", .number(factor)),
        ("rope.scaling.low_freq_factor", .number(1)), ("rope.scaling.high_freq_factor", .number(4)),
        ("rope.scaling.original_context_length", .integer(context)),
      ]
      for (name, value) in parameters { candidate[name] = value }
      guard let rotary = try? RotaryEmbedding(candidate) else { continue }
      let close = zip(rotary.frequencyFactors, factors).allSatisfy { abs($0 - $1) <= 1e-5 * $1 }
      if close, rotary.frequencyFactors.count == factors.count { return parameters }
    }
    return nil
  }
}
