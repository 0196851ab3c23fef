import Bytes
import Catalog
import ContainerTesting
import IR
import SystemPackage
import Testing

@Suite struct RotaryEmbeddingTests {
  /// Computed by transformers: see Fixtures/generators/make_llama_conformance.py.
  @Test("frequencies and attention factors are those of transformers")
  func transformers() throws {
    let text = try InputFile.contents(of: fixtures.appending("rope/rotary.json"), limit: 1 << 20)
    let rows = try #require(try JSONValue.parse(text).array)
    #expect(rows.count >= 9)
    for row in rows {
      let parameters = String(decoding: try #require(row["rope_parameters"]).serialized(), as: UTF8.self)
      let headDimension = try #require(row["head_dim"]?.int)
      let values = try hyperparameters(
        #""head_dim": \#(headDimension), "max_position_embeddings": 8192, "rope_parameters": \#(parameters)"#)
      let rotary = try RotaryEmbedding(values)
      let expected = try #require(row["inv_freq"]?.array).compactMap(\.double)
      #expect(rotary.inverseFrequencies.count == expected.count)
      for (found, expected) in zip(rotary.inverseFrequencies, expected) {
        #expect(abs(found - expected) <= 1e-6 * expected, "\(parameters): \(found) where \(expected) is right")
      }
      let factor = try #require(row["attention_factor"]?.double)
      #expect(abs(rotary.attentionFactor - factor) <= 1e-6, "\(parameters)")
    }
  }

  @Test(
    "Llama 3's parameters are found again from the factors that GGUF stores",
    arguments: [(8.0, 8192, 64, 500000.0), (32, 8192, 64, 500000), (8, 8192, 128, 500000), (8, 32, 16, 10000)])
  func llama3(factor: Double, context: Int, headDimension: Int, base: Double) throws {
    let values = try hyperparameters(
      #""head_dim": \#(headDimension), "rope_theta": \#(base), "rope_scaling": {"rope_type": "llama3", "factor": \#(factor), "#
        + #""low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": \#(context)}"#)
    let rotary = try RotaryEmbedding(values)
    let stored = rotary.frequencyFactors.map { Double(Float($0)) }
    var plain = values
    plain["rope.scaling.type"] = .string("none")
    plain["rope.frequency_factors"] = .numbers(stored)
    #expect(try RotaryEmbedding(plain).inverseFrequencies.count == headDimension / 2)
    let found = try #require(RotaryEmbedding.llama3Parameters(matching: stored, hyperparameters: plain))
    var again = values
    for (name, value) in found { again[name] = value }
    #expect(again.number("rope.scaling.factor") == factor)
    let factors = try RotaryEmbedding(again).frequencyFactors
    for (a, b) in zip(factors, rotary.frequencyFactors) { #expect(abs(a - b) <= 1e-5 * b) }
  }

  @Test("factors of another kind are not taken for Llama 3's")
  func otherFactors() throws {
    let values = try hyperparameters(#""head_dim": 16"#)
    for factors in [[1, 1, 1, 1, 1, 1, 1, 1], [1, 2, 1, 2, 1, 2, 1, 2], [8, 7, 6, 5, 4, 3, 2, 1]] as [[Double]] {
      #expect(RotaryEmbedding.llama3Parameters(matching: factors, hyperparameters: values) == nil)
    }
    var wrong = values
    for factors in [[1, 2], [0, 1, 1, 1, 1, 1, 1, 1], [.nan, 1, 1, 1, 1, 1, 1, 1]] as [[Double]] {
      wrong["rope.frequency_factors"] = .numbers(factors)
      #expect(throws: CatalogError.self) { try RotaryEmbedding(wrong) }
    }
  }
}
