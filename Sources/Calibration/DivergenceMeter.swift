import Bytes
import IR
import Kernels
import Runtime
import Synchronization

/// The divergence of two models' predictions from their last residual streams.
final class DivergenceMeter {
  private let transformer: LayerwiseTransformer
  private let processor: Processor
  private let layer: LayerwiseTransformer.Layer
  private let head: LayerwiseTransformer.Head
  private let states: (reference: Matrix, candidate: Matrix)
  private let logits: (reference: Matrix, candidate: Matrix)
  private static let batch = 32

  /// `layer`: any, for the norm behind the last.
  init(
    _ transformer: LayerwiseTransformer, _ model: Model, _ layer: LayerwiseTransformer.Layer, _ processor: Processor
  ) throws(CalibrationError) {
    self.transformer = transformer
    self.processor = processor
    self.layer = layer
    let head = try CalibrationError.wrapping { () throws(RuntimeError) in try transformer.head(from: model) }
    self.head = head
    func states() -> Matrix { Matrix(rows: transformer.tokens, columns: transformer.width) }
    self.states = (states(), states())
    func logits() -> Matrix { Matrix(rows: Self.batch, columns: head.vocabularySize) }
    self.logits = (logits(), logits())
  }

  /// Σ KL(reference ‖ candidate) over a window's tokens, in nats.
  /// - Parameter head: the candidate's model, where its head is another.
  func divergence(of candidate: Matrix, head other: Model?, from reference: Matrix) throws(CalibrationError) -> Double {
    let otherHead = try other.map { model throws(CalibrationError) in
      try CalibrationError.wrapping { () throws(RuntimeError) in try transformer.head(from: model) }
    }
    states.reference.copy(from: transformer.finalState(layer, reference))
    states.candidate.copy(from: transformer.finalState(layer, candidate))
    var sum = 0.0
    for first in stride(from: 0, to: transformer.tokens, by: Self.batch) {
      let rows = first..<min(first + Self.batch, transformer.tokens)
      let (ours, theirs) = (logits.reference.rows(0..<rows.count), logits.candidate.rows(0..<rows.count))
      transformer.logits(head, of: states.reference.rows(rows), into: ours)
      transformer.logits(otherHead ?? head, of: states.candidate.rows(rows), into: theirs)
      let divergences = Floats(count: rows.count)
      let kernels = processor.kernels
      processor.pool.run(tasks: rows.count) { row in
        let compared = kernels.compare(reference: ours[row], candidate: theirs[row], target: 0)
        divergences[row..<row + 1].withMutableSpan { $0[0] = Float(compared.divergence) }
      }
      for value in divergences.array() { sum += Double(value) }
    }
    return sum
  }
}
