import CKernels

/// What two rows of logits say about one token.
public struct LogitsComparison: Sendable, Equatable {
  /// ln p(target) under each.
  public var referenceLogProbability: Double
  public var candidateLogProbability: Double
  /// KL(reference ‖ candidate) in nats.
  public var divergence: Double
  /// The first index of the largest logit of each.
  public var referenceTop: Int
  public var candidateTop: Int
}

extension Kernels {
  /// Compares two rows of logits. Runs on the calling thread: call it from the shares of a pool.
  public func compare(reference: Floats, candidate: Floats, target: Int) -> LogitsComparison {
    precondition(reference.count == candidate.count && reference.count > 0, "the vocabularies differ")
    precondition(target >= 0 && target < reference.count, "the target is no token of the vocabulary")
    return unsafe compare(reference.base, candidate.base, reference.count, target)
  }

  /// ln p(target) and the most likely token under one row of logits.
  public func score(_ logits: Floats, target: Int) -> (logProbability: Double, top: Int) {
    precondition(target >= 0 && target < logits.count, "the target is no token of the vocabulary")
    let all = unsafe compare(logits.base, nil, logits.count, target)
    return (all.referenceLogProbability, all.referenceTop)
  }

  /// Σ x² of the finite values, on the calling thread.
  public func squaredSum(_ values: Span<Float>) -> Double {
    unsafe values.withUnsafeBufferPointer { unsafe $0.isEmpty ? 0 : math.squaredSum($0.baseAddress, nil, $0.count) }
  }

  /// Σ (scale · x)² of what is finite, as many scales as values; on the calling thread.
  public func squaredSum(_ values: Span<Float>, scales: Span<Float>) -> Double {
    precondition(values.count == scales.count, "a scale for each value")
    return unsafe values.withUnsafeBufferPointer { values in
      unsafe scales.withUnsafeBufferPointer { scales in
        unsafe values.isEmpty ? 0 : math.squaredSum(values.baseAddress, scales.baseAddress, values.count)
      }
    }
  }

  private func compare(
    _ reference: UnsafePointer<Float>, _ candidate: UnsafePointer<Float>?, _ count: Int, _ target: Int
  ) -> LogitsComparison {
    var out = quern_comparison()
    unsafe math.compare(reference, candidate, count, target, &out)
    return LogitsComparison(
      referenceLogProbability: out.referenceLogProbability, candidateLogProbability: out.candidateLogProbability,
      divergence: out.divergence, referenceTop: out.referenceTop, candidateTop: out.candidateTop)
  }
}
