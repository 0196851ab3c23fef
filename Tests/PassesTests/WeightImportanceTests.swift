import Bytes
import ContainerTesting
import IR
import Kernels
import Passes
import Testing

/// What the weights tell of channels, on two layers of eight channels.
@Suite struct WeightImportanceTests {
  private func tensor(_ name: String, _ dimensions: [Int], _ value: (Int, Int) -> Float) throws -> TensorRef {
    let shape = try #require(Shape(dimensions))
    let columns = shape.columns
    let bytes = (0..<shape.elementCount).flatMap { at in
      let bits = value(at / columns, at % columns).bitPattern
      return (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
    }
    return TensorRef(
      name: ByteString(name), shape: shape, format: .f32,
      source: MemoryTensorSource(bytes: bytes, rowByteCount: 4 * columns))
  }

  /// Layer 0 writes `strength` times as much to channel 5.
  private func model(strength: Float, more: [TensorRef] = []) throws -> Model {
    var tensors = [try tensor("token_embd.weight", [16, 8]) { row, _ in row % 2 == 0 ? 1 : -1 }]
    for layer in 0..<2 {
      for norm in ["attn_norm", "ffn_norm"] {
        tensors.append(try tensor("blk.\(layer).\(norm).weight", [8]) { _, column in Float(1 + column) })
      }
      tensors.append(try tensor("blk.\(layer).ffn_up.weight", [16, 8]) { _, _ in 1 })
      tensors.append(try tensor("blk.\(layer).ffn_down.weight", [8, 16]) { row, _ in row == 5 ? strength : 1 })
    }
    return Model(family: "llama", hyperparameters: Hyperparameters(), tensors: tensors + more)
  }

  private func weights(_ model: Model, layer: Int, as format: BlockFormat) throws -> [Float]? {
    let importance = WeightImportance(model, kernels: .best())
    return importance.weights(of: try #require(model[ByteString("blk.\(layer).ffn_up.weight")]), as: format)
  }

  @Test("a strong channel weighs in the layers behind the one that writes it")
  func strong() throws {
    let model = try model(strength: 8)
    #expect(try weights(model, layer: 0, as: .q4_0) == nil)
    let found = try #require(try weights(model, layer: 1, as: .q4_0))
    // Seven rows of 16 and one of 16 · 64, by their mean, beside an embedding that is everywhere the same.
    let mean = Float(7 * 16 + 16 * 64) / 8
    let strength = (1 + 16 * 64 / mean) / (1 + 16 / mean)
    #expect(found.indices.allSatisfy { abs(found[$0] - ($0 == 5 ? strength * strength : 1)) < 1e-3 * found[$0] })
  }

  @Test("eight bits, and a model without strong channels, are rounded evenly")
  func even() throws {
    #expect(try weights(model(strength: 8), layer: 1, as: .q8_0) == nil)
    #expect(try weights(model(strength: 1), layer: 1, as: .q4_0) == nil)
  }

  @Test("blocks of 256 weigh by the norm as well")
  func norm() throws {
    let found = try #require(try weights(model(strength: 1), layer: 1, as: .q4_K))
    let mean = Float((1...8).map { $0 * $0 }.reduce(0, +)) / 8
    for column in 0..<8 {
      let expected = Float((1 + column) * (1 + column)) + 0.1 * mean
      #expect(abs(found[column] - expected) < 1e-3 * expected)
    }
  }

  @Test("a neuron whose gate and way up are strong weighs in the way down")
  func neuron() throws {
    let strong = try (0..<2).flatMap { layer in
      try ["ffn_gate", "ffn_up"].map { name in
        try tensor("blk.\(layer).\(name).weight", [16, 8]) { row, _ in row == 3 ? 4 : 1 }
      }
    }
    let plain = try model(strength: 1).tensors.filter { !$0.name.text.contains("ffn_up") }
    let model = Model(family: "llama", hyperparameters: Hyperparameters(), tensors: plain + strong)
    let down = try #require(model["blk.1.ffn_down.weight"])
    let found = try #require(WeightImportance(model, kernels: .best()).weights(of: down, as: .q4_0))
    #expect(found.indices.allSatisfy { abs(found[$0] - ($0 == 3 ? 256 : 1)) < 1e-3 * found[$0] })
  }

  @Test("rows that passed by need not be read: the weights are the same, and come from them")
  func gathered() throws {
    let gate = try tensor("blk.0.ffn_gate.weight", [16, 8]) { row, column in
      Float(row * column % 7 + (row == 3 ? 90 : 1))
    }
    let model = try model(strength: 8, more: [gate])
    let down = try #require(model["blk.0.ffn_down.weight"])
    let read = try #require(WeightImportance(model, kernels: .best()).weights(of: down, as: .q4_0))
    for scale in [1, 2] as [Float] {
      let importance = WeightImportance(model, kernels: .best())
      let sums = importance.sums(for: ["blk.0.ffn_down.weight": .q4_0])
      #expect(Set(sums.keys) == ["blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"])
      let values = try gate.floats(rows: 2..<5).map { $0 * scale }
      sums["blk.0.ffn_gate.weight"]?.gather(values.span, rows: 2..<5)
      let found = try #require(importance.weights(of: down, as: .q4_0))
      // Row 3 alone is strong; told that its gate is twice as large, it is four times as strong.
      #expect(found.indices.allSatisfy { abs(found[$0] - read[$0] * ($0 == 3 ? scale * scale : 1)) < 1e-3 * found[$0] })
    }
  }

  @Test("what is asked for is summed, and nothing for eight bits")
  func sums() throws {
    let importance = WeightImportance(try model(strength: 8), kernels: .best())
    #expect(importance.sums(for: ["blk.1.ffn_up.weight": .q4_0]).keys.map(\.text) == ["blk.0.ffn_down.weight"])
    #expect(importance.sums(for: ["blk.1.ffn_up.weight": .q8_0, "token_embd.weight": .q4_0]).isEmpty)
    #expect(importance.sources(of: "blk.1.attn_q.weight", as: .q4_0) == ["blk.0.ffn_down.weight"])
    #expect(importance.sources(of: "blk.1.attn_q.weight", as: .q8_0).isEmpty)
  }

  @Test("a norm behind the layers hides what they write")
  func behind() throws {
    let post = try tensor("blk.0.post_ffw_norm.weight", [8]) { _, _ in 1 }
    #expect(try weights(model(strength: 8, more: [post]), layer: 1, as: .q4_0) == nil)
  }
}
