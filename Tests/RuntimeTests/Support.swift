import Bytes
import ContainerTesting
import Conversion
import IR
import Kernels
import ModelTesting
import Runtime
import Safetensors
import SystemPackage
import Testing

/// The folders under Fixtures/conformance.
let conformanceCases = FileSystem.names(in: fixtures.appending("conformance"))

/// What transformers computes for a case.
struct Golden {
  let ids: [[Int]]
  /// [batch, tokens, vocabulary], flat.
  let logits: [Float]

  init(_ name: String) throws {
    let file = try SafetensorsFile(fixtures.appending("conformance").appending(name).appending("golden.safetensors"))
    let input = try #require(file.tensors.first { $0.name == "input_ids" })
    let output = try #require(file.tensors.first { $0.name == "logits" })
    #expect(input.format == .i64 && output.format == .f32)
    let values = try input.readAll().littleEndian(UInt64.self).map { Int($0) }
    ids = stride(from: 0, to: values.count, by: input.shape.columns).map {
      Array(values[$0..<$0 + input.shape.columns])
    }
    logits = try output.readAll().littleEndian(UInt32.self).map { Float(bitPattern: $0) }
  }

  var standardDeviation: Float {
    let mean = logits.reduce(0, +) / Float(logits.count)
    return (logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(logits.count)).squareRoot()
  }

  /// The largest difference, in standard deviations of the golden logits.
  func distance(_ found: [Float]) -> Float {
    guard found.count == logits.count else { return .infinity }
    return zip(found, logits).reduce(0) { $1.0.isNaN ? .infinity : max($0, abs($1.0 - $1.1)) } / standardDeviation
  }
}

extension [UInt8] {
  func littleEndian<Word: FixedWidthInteger & UnsignedInteger>(_ type: Word.Type) -> [Word] {
    let width = Word.bitWidth / 8
    return stride(from: 0, to: count, by: width).map { at in
      (0..<width).reversed().reduce(0) { $0 << 8 | Word(self[at + $1]) }
    }
  }
}

func processor(_ kernels: Kernels = .best(), threads: Int = 2) -> Processor {
  Processor(kernels: kernels, pool: WorkerPool(threads: threads))
}

/// All logits of each sequence, appended in pieces of `step` tokens.
func logits(
  _ opened: OpenedModel, _ sequences: [[Int]], arithmetic: Arithmetic = .exact, on processor: Processor = processor(),
  step: Int = .max
) throws -> [Float] {
  let transformer = try Transformer(
    opened.model, graph: opened.architecture.graph, arithmetic: arithmetic, processor: processor)
  let session = Session(transformer, capacity: sequences.map(\.count).max() ?? 1)
  var result: [Float] = []
  for sequence in sequences {
    session.reset()
    for start in stride(from: 0, to: sequence.count, by: min(step, sequence.count)) {
      let piece = Array(sequence[start..<min(sequence.count, start + min(step, sequence.count))])
      try session.append(piece)
      for first in stride(from: 0, to: piece.count, by: Session.logitsBatch) {
        let rows = session.logits(rows: first..<min(first + Session.logitsBatch, piece.count))
        result += rows.floats.array().prefix(rows.rows * rows.columns)
      }
    }
  }
  return result
}

/// Bit for bit, so that NaN equals itself and -0 differs from 0.
func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }
