import Bytes
import ContainerTesting
import Conversion
import IR
import SystemPackage
import Testing

/// What GPU libraries quantized, against what they decode themselves; see Fixtures/generators/make_quantized_fixtures.py.
@Suite struct QuantizedWeightsTests {
  static let folder = fixtures.appending("quantized")
  static let names = FileSystem.names(in: folder)

  @Test(arguments: names)
  func decoded(name: String) throws {
    let folder = Self.folder.appending(name)
    let checkpoint = try Checkpoint(folder.appending("model.safetensors"))
    let answer = try Checkpoint(folder.appending("answer.safetensors"))
    #expect(checkpoint.tensors.map(\.name).sorted() == answer.tensors.map(\.name).sorted())
    #expect(checkpoint.notes.count >= 1)
    #expect(checkpoint.configuration?["quantization_config"] == nil)
    for tensor in checkpoint.tensors {
      let expected = try #require(answer.tensors.first { $0.name == tensor.name })
      #expect(tensor.shape == expected.shape && tensor.format == expected.format, "\(tensor.name)")
      let values = try tensor.readAll()
      // As numbers: bitsandbytes has a zero of either sign.
      #expect(try tensor.floats() == (try expected.floats()), "\(tensor.name)")
      // A few rows at a time, the same.
      var byRow: [UInt8] = []
      for start in stride(from: 0, to: tensor.shape.rows, by: 3) {
        byRow += try tensor.bytes(rows: start..<min(start + 3, tensor.shape.rows))
      }
      #expect(byRow == values, "\(tensor.name)")
    }
  }

  @Test func everySchemeHasAFixture() { #expect(Self.names.count >= 26) }
}
