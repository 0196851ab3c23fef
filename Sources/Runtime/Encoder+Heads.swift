public import Kernels

extension Encoder {
  /// What a model can say about sequences, in the order in which `quern logits` prefers them.
  public enum Output: Sendable {
    /// Over the vocabulary, for each token.
    case maskedTokens
    /// Whether each token was replaced.
    case replacedTokens
    /// Over labels, for each sequence.
    case classes
    /// Final states only.
    case states
  }

  public var output: Output {
    let heads = transformer.heads
    if heads.language != nil { return .maskedTokens }
    if heads.discriminator != nil { return .replacedTokens }
    return heads.classifier != nil ? .classes : .states
  }

  /// Labels of the classifier.
  public var labelCount: Int { transformer.heads.classifier?.output.rows ?? 0 }

  /// Whether the model has a head over the vocabulary.
  public var hasTokenLogits: Bool { transformer.heads.language != nil }

  /// Whether the model has a pooler of its own.
  public var hasPooler: Bool { transformer.heads.pooler != nil }

  /// Logits over the vocabulary for some rows of a batch. [rows, vocabulary]; allocates.
  public func tokenLogits(_ states: Matrix) throws(RuntimeError) -> Matrix {
    guard let head = transformer.heads.language else {
      throw .unsupported("this model has no head over the vocabulary")
    }
    let out = Matrix(rows: states.rows, columns: head.weights.rows)
    let hidden = head.transform.map { Matrix(rows: states.rows, columns: $0.rows) }
    let input = ProductInput(tokens: states.rows, columns: max(states.columns, hidden?.columns ?? 0))
    head.logits(of: states, input: input, hidden: hidden, into: out, on: transformer.processor)
    return out
  }

  /// How likely each token was replaced, as a logit. [rows, 1]; allocates.
  public func replacementLogits(_ states: Matrix) throws(RuntimeError) -> Matrix {
    guard let head = transformer.heads.discriminator else { throw .unsupported("this model has no discriminator") }
    return head.apply(states, on: transformer.processor)
  }

  /// tanh(pooler(first token)) of each sequence. [sequences, width]; allocates.
  public func pooled(_ batch: Batch) throws(RuntimeError) -> Matrix {
    guard let pooler = transformer.heads.pooler else { throw .unsupported("this model has no pooler") }
    let first = firstStates(batch)
    let out = Matrix(rows: first.rows, columns: pooler.rows)
    guard first.rows > 0 else { return out }
    let input = ProductInput(tokens: first.rows, columns: first.columns)
    input.set(first)
    pooler.apply(input, into: out, on: transformer.processor)
    transformer.processor.activate(.tanh, out, into: out)
    return out
  }

  /// Logits over the labels of each sequence, from the pooler's state where there is one. [sequences, labels]; allocates.
  public func classLogits(_ batch: Batch) throws(RuntimeError) -> Matrix {
    guard let head = transformer.heads.classifier else { throw .unsupported("this model does not classify") }
    return head.apply(hasPooler ? try pooled(batch) : firstStates(batch), on: transformer.processor)
  }

  /// The states of the first token of each sequence. [sequences, width]; allocates.
  public func firstStates(_ batch: Batch) -> Matrix {
    let ranges = batch.ranges.filter { !$0.isEmpty }
    let out = Matrix(rows: ranges.count, columns: batch.states.columns)
    for (row, range) in ranges.enumerated() {
      out.rows(row..<row + 1).copy(from: batch.states.rows(range.lowerBound..<range.lowerBound + 1))
    }
    return out
  }
}
