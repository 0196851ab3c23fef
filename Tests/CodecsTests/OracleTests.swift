import Bytes
import Codecs
import Foundation
import IR
import Testing

/// Against llama-quantize on a trained model's tensors (Fixtures/generators/make_codec_errors.py).
@Suite struct OracleTests {
  struct Unexpected: Error {}

  @Test func trainedTensorsLoseLessThanWithLlamaQuantize() throws {
    guard case .object(let tensors) = try JSONValue.parse(try fixture("vectors/codecs/llama-quantize-errors.json"))
    else {
      throw Unexpected()
    }
    let file = try fixture("models/kjv-llama/model.safetensors")
    #expect(tensors.count >= 3)
    for (name, errors) in tensors.members {
      let values = try tensor(name, in: file)
      guard case .object(let errors) = errors else { throw Unexpected() }
      for (type, error) in errors.members {
        guard case .number(let number) = error, let theirs = number.double else { throw Unexpected() }
        let format = try #require(BlockFormat.named("\(type)"))
        guard let codec = codecs(of: format).first?.codec, codec.canEncode else { continue }
        #expect(codec.encode(values).statistics.squaredError < theirs, "\(name) as \(type)")
      }
    }
  }

  /// The first 256 rows of a BF16 matrix in a safetensors file.
  private func tensor(_ name: ByteString, in file: [UInt8]) throws -> [Float] {
    let headerLength = (0..<8).reduce(0) { $0 | Int(file[$1]) << (8 * $1) }
    guard case .object(let header) = try JSONValue.parse(Array(file[8..<8 + headerLength])),
      case .object(let entry)? = header[name],
      case .array(let shape)? = entry["shape"], case .number(let rows) = shape[0], case .number(let columns) = shape[1],
      case .array(let offsets)? = entry["data_offsets"], case .number(let begin) = offsets[0]
    else { throw Unexpected() }
    let count = min(256, try #require(rows.int)) * (try #require(columns.int))
    let start = 8 + headerLength + (try #require(begin.int))
    let codec = try #require(codecs(of: .bf16).first).codec
    return codec.decode(Array(file[start..<start + 2 * count]), count: count)
  }
}
