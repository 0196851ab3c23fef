import Glibc
public import Kernels
public import Runtime

/// What a candidate lost against a reference on one text, token by token, both models side by side.
public struct Verification: Sendable {
  public let reference: Perplexity
  public let candidate: Perplexity
  /// KL(reference ‖ candidate) over the vocabulary, in nats per token.
  public let divergence: Statistics
  /// Share of tokens for which both models' most likely next token is the same.
  public let topTokenAgreement: Double
  /// candidate ÷ reference perplexity.
  public let perplexityRatio: Double
  /// Standard error of the ratio; the models see the same tokens, so it is much smaller than that of either.
  public let perplexityRatioError: Double
  /// Tokens scored.
  public let tokenCount: Int
  public let context: Int
  /// Relative error of the residual stream after each layer, over the first window.
  public let layerErrors: [Double]

  /// Runs both models over all windows. Memory is two models, two caches of one window and a few rows of logits.
  /// - Parameter progress: called with the windows done after each.
  public init(
    reference: Transformer, candidate: Transformer, windows: Windows, kernels: Kernels, pool: WorkerPool,
    progress: (Int) -> Void = { _ in }
  ) throws(RuntimeError) {
    precondition(windows.count > 0, "the text is shorter than one window")
    let sessions = (Session(reference, capacity: windows.context), Session(candidate, capacity: windows.context))
    var comparisons: [LogitsComparison] = []
    comparisons.reserveCapacity(windows.count * windows.scored.count)
    var layerErrors: [Double] = []
    for index in 0..<windows.count {
      if index == 0 { layerErrors = try Self.layerErrors(sessions.0, sessions.1, window: windows[0]) }
      comparisons += try Self.compare(
        sessions.0, sessions.1, window: windows[index], scored: windows.scored, kernels: kernels, pool: pool)
      progress(index + 1)
    }
    self.layerErrors = layerErrors
    context = windows.context
    tokenCount = comparisons.count
    self.reference = Perplexity(negativeLogProbabilities: comparisons.map { -$0.referenceLogProbability })
    self.candidate = Perplexity(negativeLogProbabilities: comparisons.map { -$0.candidateLogProbability })
    divergence = Statistics(comparisons.map(\.divergence))
    topTokenAgreement = Double(comparisons.count { $0.referenceTop == $0.candidateTop }) / Double(comparisons.count)
    let differences = Statistics(comparisons.map { $0.referenceLogProbability - $0.candidateLogProbability })
    perplexityRatio = exp(differences.mean)
    perplexityRatioError = perplexityRatio * differences.standardError
  }

  private static func compare(
    _ reference: Session, _ candidate: Session, window: [Int], scored: Range<Int>, kernels: Kernels, pool: WorkerPool
  ) throws(RuntimeError) -> [LogitsComparison] {
    reference.reset()
    candidate.reset()
    var result: [LogitsComparison] = []
    // Both go through the window batch by batch, so that neither has to keep logits for the other.
    for start in stride(from: 0, to: window.count, by: Session.batch) {
      let batch = start..<min(start + Session.batch, window.count)
      try reference.append(Array(window[batch]))
      try candidate.append(Array(window[batch]))
      let wanted = batch.clamped(to: scored)
      for first in stride(from: wanted.lowerBound, to: wanted.upperBound, by: Session.logitsBatch) {
        let rows = first..<min(first + Session.logitsBatch, wanted.upperBound)
        let local = rows.lowerBound - start..<rows.upperBound - start
        let left = reference.logits(rows: local)
        let right = candidate.logits(rows: local)
        result += concurrentMap(rows.count, pool: pool) { row in
          kernels.compare(reference: left[row], candidate: right[row], target: window[rows.lowerBound + row + 1])
        }
      }
    }
    return result
  }

  private static func layerErrors(
    _ reference: Session, _ candidate: Session, window: [Int]
  ) throws(RuntimeError) -> [Double] {
    var states: [[Float]] = []
    var errors: [Double] = []
    let tokens = Array(window.prefix(64))
    reference.reset()
    candidate.reset()
    reference.observer = { _, state in states.append(state.floats.array()) }
    candidate.observer = { layer, state in
      guard states.indices.contains(layer) else { return }
      var error = 0.0
      var norm = 0.0
      for (a, b) in zip(states[layer], state.floats.array()) {
        error += Double(a - b) * Double(a - b)
        norm += Double(a) * Double(a)
      }
      errors.append(norm > 0 ? (error / norm).squareRoot() : 0)
    }
    defer {
      reference.observer = nil
      candidate.observer = nil
    }
    try reference.append(tokens)
    try candidate.append(tokens)
    return errors
  }
}

/// Perplexity of one model alone.
public struct PerplexityRun: Sendable {
  public let perplexity: Perplexity
  public let tokenCount: Int

  public init(
    _ model: Transformer, windows: Windows, kernels: Kernels, pool: WorkerPool, progress: (Int) -> Void = { _ in }
  ) throws(RuntimeError) {
    precondition(windows.count > 0, "the text is shorter than one window")
    let session = Session(model, capacity: windows.context)
    var losses: [Double] = []
    for index in 0..<windows.count {
      let window = windows[index]
      session.reset()
      for start in stride(from: 0, to: window.count, by: Session.batch) {
        let batch = start..<min(start + Session.batch, window.count)
        try session.append(Array(window[batch]))
        let wanted = batch.clamped(to: windows.scored)
        for first in stride(from: wanted.lowerBound, to: wanted.upperBound, by: Session.logitsBatch) {
          let rows = first..<min(first + Session.logitsBatch, wanted.upperBound)
          let logits = session.logits(rows: rows.lowerBound - start..<rows.upperBound - start)
          losses += concurrentMap(rows.count, pool: pool) { row in
            -kernels.score(logits[row], target: window[rows.lowerBound + row + 1]).logProbability
          }
        }
      }
      progress(index + 1)
    }
    perplexity = Perplexity(negativeLogProbabilities: losses)
    tokenCount = losses.count
  }
}
