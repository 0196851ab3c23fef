import Conversion
import IR
import Kernels
import ModelTesting
import Passes
import Runtime
import Testing

func processor(_ kernels: Kernels = .best(), threads: Int = 2) -> Processor {
  Processor(kernels: kernels, pool: WorkerPool(threads: threads))
}

/// What `quern logits` would write, by name.
func outputs(
  _ opened: OpenedModel, _ golden: Golden, model: Model? = nil, arithmetic: Arithmetic = .exact,
  on processor: Processor = processor(), step: Int = .max
) throws -> [String: [Float]] {
  let transformer = try Transformer(
    model ?? opened.model, graph: opened.architecture.graph, arithmetic: arithmetic, processor: processor)
  guard opened.architecture.graph.kind == .encoder else {
    return ["logits": try logits(transformer, golden, step: step)]
  }
  let sequences = golden.ids.indices.map {
    EncoderInput(ids: golden.ids[$0], types: golden.types?[$0], tasks: golden.tasks?[$0])
  }
  let encoder = Encoder(transformer, rows: golden.ids.reduce(0) { $0 + $1.count })
  let batch = try encoder.run(sequences)
  switch encoder.output {
  case .maskedTokens: return ["logits": try encoder.tokenLogits(batch.states).array]
  case .replacedTokens: return ["logits": try encoder.replacementLogits(batch.states).array]
  case .classes: return ["logits": try encoder.classLogits(batch).array]
  case .states:
    let states = batch.states.array
    return [
      "last_hidden_state": states, "pooler_output": encoder.hasPooler ? try encoder.pooled(batch).array : [],
    ]
  }
}

/// All logits of each sequence, appended in pieces of `step` tokens.
private func logits(_ transformer: Transformer, _ golden: Golden, step: Int) throws -> [Float] {
  let sequences = golden.decoderIds ?? golden.ids
  let session = Session(transformer, capacity: sequences.map(\.count).max() ?? 1)
  var result: [Float] = []
  for (source, sequence) in zip(golden.ids, sequences) {
    session.reset()
    if golden.decoderIds != nil { try session.setSource(source) }
    for start in stride(from: 0, to: sequence.count, by: min(step, sequence.count)) {
      let piece = Array(sequence[start..<min(sequence.count, start + min(step, sequence.count))])
      try session.append(piece)
      for first in stride(from: 0, to: piece.count, by: Session.logitsBatch) {
        result += session.logits(rows: first..<min(first + Session.logitsBatch, piece.count)).array
      }
    }
  }
  return result
}

extension Matrix {
  /// Its elements, row after row.
  var array: [Float] { (0..<rows).flatMap { row in Array(self[row].array().prefix(columns)) } }
}

/// Bit for bit, so that NaN equals itself and -0 differs from 0.
func bits(_ values: [String: [Float]]) -> [String: [UInt32]] { values.mapValues { $0.map(\.bitPattern) } }

extension OpenedModel {
  /// The model as a recipe would store it, without a file.
  func packed(_ recipe: String) throws -> Model {
    let book = try RecipeBook()
    let plan = try #require(book[recipe]).plan(for: model)
    return try Pipeline([ChangeFormats(plan, kernels: .best())]).run(model)
  }
}
