import Bytes
import Footprint
import Glibc
import IR
import SystemPackage
import Testing

/// Our llama.cpp profile against llama.cpp's own allocator (Fixtures/generators/llama_fit_oracle.py wrote the answers).
@Suite struct LlamaCppOracleTests {
  struct Row {
    let label: String
    let model: ModelShape
    let request: FootprintRequest
    /// MiB, rounded down.
    let weights: Int
    let cache: Int
    /// MiB; two decimals in most rows.
    let compute: Double
  }

  @Test("weights and KV cache to the MiB, compute within 3 % or 4 MiB on nine rows of ten")
  func everyRow() throws {
    let rows = try Self.rows()
    #expect(rows.count >= 40)
    var missed: [(label: String, ours: Double, theirs: Double)] = []
    for row in rows {
      let footprint = try Footprint(of: row.model, for: row.request)
      #expect(footprint.weightsBytes >> 20 == row.weights, "\(row.label)")
      #expect(footprint.kvCacheBytes >> 20 == row.cache, "\(row.label)")
      let ours = Double(footprint.computeBytes) / 1_048_576
      if abs(ours - row.compute) > max(4, row.compute * 0.03) { missed.append((row.label, ours, row.compute)) }
    }
    let worst = missed.max { abs($0.ours / $0.theirs - 1) < abs($1.ours / $1.theirs - 1) }
    #expect(
      missed.count * 10 <= rows.count, "\(missed.count) of \(rows.count) rows; worst: \(String(describing: worst))")
    // What is known to be off: holes in the allocator's arena that no formula sees. Never by more than this.
    #expect(missed.allSatisfy { abs($0.ours / $0.theirs - 1) < 0.15 }, "\(String(describing: worst))")
  }

  static func rows() throws -> [Row] {
    let file = try InputFile(FilePath(repositoryRoot + "/Fixtures/footprint/llama-fit-params.json"))
    var bytes = [UInt8](repeating: 0, count: file.byteCount)
    try bytes.withMutableRawSpan { span in try file.read(at: 0, into: &span) }
    let json = try #require(try JSONValue.parse(bytes).object)
    let models = try #require(json["models"]?.object)
    let profile = try RuntimeProfile.named("llama.cpp")
    return try #require(json["rows"]?.array).map { value in
      let row = try #require(value.object)
      func text(_ key: ByteString) throws -> String { try #require(row[key]?.string?.text) }
      func integer(_ key: ByteString) throws -> Int { try #require(row[key]?.int) }
      let name = try text("model")
      let type = try format(text("type"))
      let kv = try format(text("kv"))
      let sequences = try integer("sequences")
      // llama.cpp divides its context among the sequences.
      var request = FootprintRequest(
        context: try integer("context") / sequences, batch: sequences, keyFormat: kv, valueFormat: kv, profile: profile)
      request.microBatch = try integer("microBatch")
      request.flashAttention = row["flashAttention"]?.bool
      return Row(
        label: String(decoding: value.serialized(), as: UTF8.self),
        model: try shape(of: models[ByteString(name)]?.object, format: type), request: request,
        weights: try integer("modelMiB"), cache: try integer("contextMiB"),
        compute: try #require(row["computeMiB"]?.double))
    }
  }

  private static func format(_ name: String) throws -> BlockFormat { try #require(BlockFormat.named(name)) }

  /// A model of the fixture: hyperparameters under GGUF's keys, tensors as patterns over layers.
  private static func shape(of json: JSONObject?, format: BlockFormat) throws -> ModelShape {
    let model = try #require(json)
    var hyperparameters = Hyperparameters()
    for part in [model["hyperparameters"], model["implied"]] {
      for member in part?.object?.members ?? [] {
        if let value = member.value.int {
          hyperparameters[member.key.text] = .integer(value)
        } else if let value = member.value.double {
          hyperparameters[member.key.text] = .number(value)
        }
      }
    }
    let layerCount = try #require(hyperparameters.integer("block_count"))
    var tensors: [ModelShape.Tensor] = []
    for entry in try #require(model["tensors"]?.array) {
      let parts = try #require(entry.array)
      let pattern = try #require(parts[0].string?.text)
      let dimensions = try #require(parts[1].array)
      let shape = try #require(Shape(dimensions.compactMap(\.int)))
      let isPerLayer = pattern.contains("{layer}")
      let span = parts.count > 2 ? parts.dropFirst(2).compactMap(\.int) : [0, isPerLayer ? layerCount : 1]
      let isVector = shape.dimensions.count == 1 || pattern.contains("ffn_gate_inp")
      for layer in span[0]..<span[1] {
        tensors.append(
          .init(
            name: ByteString(pattern.replacing("{layer}", with: "\(layer)")), shape: shape,
            format: isVector ? .f32 : format))
      }
    }
    return ModelShape(family: "oracle", hyperparameters: hyperparameters, tensors: tensors)
  }
}
