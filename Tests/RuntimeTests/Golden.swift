import Bytes
import ContainerTesting
import IR
import Safetensors
import SystemPackage
import Testing

/// The folders under Fixtures/conformance.
let conformanceCases = FileSystem.names(in: fixtures.appending("conformance"))

/// What transformers, or a reference of ours where it has not the family, computes for a case.
struct Golden {
  /// A tensor of floats, flat.
  struct Output {
    let name: String
    let values: [Float]
  }

  let ids: [[Int]]
  let types: [[Int]]?
  let tasks: [[Int]]?
  /// Of encoder–decoders, whose `ids` are the source.
  let decoderIds: [[Int]]?
  let outputs: [Output]

  init(_ name: String) throws {
    let file = try SafetensorsFile(fixtures.appending("conformance").appending(name).appending("golden.safetensors"))
    func rows(_ name: ByteString) throws -> [[Int]]? {
      guard let tensor = file.tensors.first(where: { $0.name == name }) else { return nil }
      let values = try tensor.readAll().littleEndian(UInt64.self).map { Int($0) }
      return stride(from: 0, to: values.count, by: tensor.shape.columns).map {
        Array(values[$0..<$0 + tensor.shape.columns])
      }
    }
    ids = try #require(try rows("input_ids"))
    types = try rows("token_type_ids")
    tasks = try rows("task_type_ids")
    decoderIds = try rows("decoder_input_ids")
    outputs = try file.tensors.filter { $0.format == .f32 }.map {
      Output(
        name: $0.name.text, values: try $0.readAll().littleEndian(UInt32.self).map { Float(bitPattern: $0) })
    }
    #expect(!outputs.isEmpty)
  }

  /// Of decoders.
  var standardDeviation: Float { outputs[0].standardDeviation }

  /// The largest difference, in standard deviations of the golden output; that of the worst output.
  func distance(_ found: [String: [Float]]) -> Float {
    outputs.map { $0.distance(found[$0.name] ?? []) }.max() ?? .infinity
  }

  /// The cosine of every token's logits.
  func tokenCosines(_ found: [Float]) -> [Double] {
    let logits = outputs[0]
    let width = logits.values.count / ids.reduce(0) { $0 + $1.count }
    return stride(from: 0, to: min(found.count, logits.values.count), by: width).map { start in
      Golden.Output(name: logits.name, values: Array(logits.values[start..<start + width])).cosine(
        Array(found[start..<start + width]))
    }
  }

  /// The smallest cosine of an output.
  func cosine(_ found: [String: [Float]]) -> Double {
    outputs.map { $0.cosine(found[$0.name] ?? []) }.min() ?? 0
  }
}

extension Golden.Output {
  var standardDeviation: Float {
    let mean = values.reduce(0, +) / Float(values.count)
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(values.count)).squareRoot()
  }

  func distance(_ found: [Float]) -> Float {
    guard found.count == values.count else { return .infinity }
    let largest = zip(found, values).reduce(Float(0)) { $1.0.isNaN ? .infinity : max($0, abs($1.0 - $1.1)) }
    return largest / standardDeviation
  }

  func cosine(_ found: [Float]) -> Double {
    guard found.count == values.count else { return 0 }
    func product(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
    return product(found, values) / (product(found, found) * product(values, values)).squareRoot()
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
