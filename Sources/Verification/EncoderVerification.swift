public import Kernels
public import Runtime

/// What an encoder lost against a reference on one text, both models side by side.
///
/// Embeddings are means over a sequence's tokens. Where both models have a head over the vocabulary, one token in seven
/// is masked as well, and what they make of the gaps is compared.
public struct EncoderVerification: Sendable {
  /// cos(reference, candidate) of each sequence's embedding.
  public let cosine: Statistics
  public let worstCosine: Double
  public let sequenceCount: Int
  /// KL(reference ‖ candidate) over the vocabulary at each gap, in nats; nil without such heads.
  public let divergence: Statistics?
  /// Share of gaps that both fill alike.
  public let topTokenAgreement: Double?
  public let maskedTokenCount: Int

  /// Every seventh token from the fourth on: about as many as models are trained with.
  public static let maskInterval = 7
  /// Gaps whose logits are computed together.
  private static let gapsTogether = 32

  /// - Parameters:
  ///   - sequences: at least one, none empty.
  ///   - mask: the token of a gap; nil compares embeddings only.
  ///   - keeps: whether a token is never masked (special ones).
  ///   - progress: called with the sequences done after each.
  public init(
    reference: Transformer, candidate: Transformer, sequences: [[Int]], mask: Int?, keeps: (Int) -> Bool,
    kernels: Kernels, pool: WorkerPool, progress: (Int) -> Void = { _ in }
  ) throws(RuntimeError) {
    precondition(sequences.allSatisfy { !$0.isEmpty } && !sequences.isEmpty, "nothing to compare")
    let rows = sequences.map(\.count).max() ?? 1
    let encoders = (Encoder(reference, rows: rows), Encoder(candidate, rows: rows))
    var cosines: [Double] = []
    var comparisons: [LogitsComparison] = []
    let compares = mask != nil && encoders.0.hasTokenLogits && encoders.1.hasTokenLogits
    for (index, sequence) in sequences.enumerated() {
      let input = EncoderInput(ids: sequence)
      let left = encoders.0.means(try encoders.0.run([input]))
      let right = encoders.1.means(try encoders.1.run([input]))
      cosines.append(Self.cosine(left[0].array(), right[0].array()))
      if compares, let mask {
        comparisons += try Self.compare(encoders, sequence, mask: mask, keeps: keeps, kernels: kernels, pool: pool)
      }
      progress(index + 1)
    }
    cosine = Statistics(cosines)
    worstCosine = cosines.min() ?? 1
    sequenceCount = sequences.count
    maskedTokenCount = comparisons.count
    divergence = comparisons.isEmpty ? nil : Statistics(comparisons.map(\.divergence))
    topTokenAgreement =
      comparisons.isEmpty
      ? nil : Double(comparisons.count { $0.referenceTop == $0.candidateTop }) / Double(comparisons.count)
  }

  private static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (product, left, right) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      product += Double(x) * Double(y)
      left += Double(x) * Double(x)
      right += Double(y) * Double(y)
    }
    // Equal vectors have a cosine of 1, whatever the root rounds to.
    if product == left, product == right { return 1 }
    let scale = (left * right).squareRoot()
    return scale > 0 ? product / scale : 0
  }

  private static func compare(
    _ encoders: (Encoder, Encoder), _ sequence: [Int], mask: Int, keeps: (Int) -> Bool, kernels: Kernels,
    pool: WorkerPool
  ) throws(RuntimeError) -> [LogitsComparison] {
    let gaps = stride(from: maskInterval / 2, to: sequence.count, by: maskInterval).filter { !keeps(sequence[$0]) }
    guard !gaps.isEmpty else { return [] }
    var masked = sequence
    for gap in gaps { masked[gap] = mask }
    let left = try encoders.0.run([EncoderInput(ids: masked)]).states
    let right = try encoders.1.run([EncoderInput(ids: masked)]).states
    var result: [LogitsComparison] = []
    for start in stride(from: 0, to: gaps.count, by: gapsTogether) {
      let part = Array(gaps[start..<min(start + gapsTogether, gaps.count)])
      let logits = (
        try encoders.0.tokenLogits(gathered(left, part)), try encoders.1.tokenLogits(gathered(right, part))
      )
      result += concurrentMap(part.count, pool: pool) { row in
        kernels.compare(reference: logits.0[row], candidate: logits.1[row], target: sequence[part[row]])
      }
    }
    return result
  }

  private static func gathered(_ states: Matrix, _ rows: [Int]) -> Matrix {
    let out = Matrix(rows: rows.count, columns: states.columns)
    for (place, row) in rows.enumerated() { out.rows(place..<place + 1).copy(from: states.rows(row..<row + 1)) }
    return out
  }
}
