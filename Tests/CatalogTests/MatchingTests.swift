import Bytes
import Catalog
import IR
import Testing

@Suite struct MatchingTests {
  /// All tensors of the small Llama under Hugging Face's names.
  static func complete(_ values: Hyperparameters) throws -> [TensorRef] {
    try llama().instances(in: values).map { try tensor($0.huggingFaceNames[0].text, $0.shape.dimensions) }
  }

  @Test func completeModelsMatch() throws {
    let values = try hyperparameters()
    let stored = try Self.complete(values)
    let (tensors, report) = try llama().match(stored, naming: .huggingFace, hyperparameters: values)
    #expect(tensors.count == stored.count && report.problems.isEmpty && report.ignored.isEmpty)
    #expect(report.consumed == stored.map(\.name))
    #expect(Set(tensors.map(\.name)).contains("blk.1.ffn_down.weight"))
    #expect(zip(tensors, stored).allSatisfy { $0.sourceName == $1.name })
  }

  @Test("every difference is reported at once")
  func leftovers() throws {
    let values = try hyperparameters()
    var stored = try Self.complete(values)
    stored.removeAll { $0.name == "model.layers.1.mlp.up_proj.weight" || $0.name == "model.norm.weight" }
    let wrong = try #require(stored.firstIndex { $0.name == "model.layers.0.self_attn.k_proj.weight" })
    stored[wrong] = try tensor("model.layers.0.self_attn.k_proj.weight", [64, 32])
    stored.append(try tensor("model.layers.2.mlp.up_proj.weight", [160, 64]))
    stored.append(try tensor("surprise", [3]))
    stored.append(try tensor("model.layers.0.self_attn.rotary_emb.inv_freq", [8]))
    let error = #expect(throws: CatalogError.self) {
      try llama().match(stored, naming: .huggingFace, hyperparameters: values)
    }
    guard case .leftovers(let report)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(report.missing == ["model.norm.weight", "model.layers.1.mlp.up_proj.weight"])
    #expect(report.unexpected == ["model.layers.2.mlp.up_proj.weight", "surprise"])
    #expect(report.mismatched.map(\.name) == ["model.layers.0.self_attn.k_proj.weight"])
    #expect(report.mismatched.first?.expected.dimensions == [64, 64])
    #expect(report.ignored.map(\.name) == ["model.layers.0.self_attn.rotary_emb.inv_freq"])
    #expect(report.problems.count == 5)
    #expect("\(CatalogError.leftovers(report))".split(separator: "\n").count == 5)
  }

  @Test("a stored head is ignored when it is tied, and asked for when it is not", arguments: [true, false])
  func tied(isTied: Bool) throws {
    let values = try hyperparameters(#""tie_word_embeddings": \#(isTied)"#)
    var stored = try Self.complete(values)
    if isTied { stored.append(try tensor("lm_head.weight", [320, 64])) }
    let (tensors, report) = try llama().match(stored, naming: .huggingFace, hyperparameters: values)
    #expect(tensors.contains { $0.name == "output.weight" } == !isTied)
    #expect(report.ignored.map(\.name) == (isTied ? ["lm_head.weight"] : []))
  }

  @Test("biases belong to it only where the configuration has them")
  func biases() throws {
    let with = try hyperparameters(#""attention_bias": true, "mlp_bias": true"#)
    let stored = try Self.complete(with)
    #expect(throws: Never.self) { try llama().match(stored, naming: .huggingFace, hyperparameters: with) }
    let error = #expect(throws: CatalogError.self) {
      try llama().match(stored, naming: .huggingFace, hyperparameters: try hyperparameters())
    }
    guard case .leftovers(let report)? = error else { return }
    #expect(report.unexpected.count == 14 && report.missing.isEmpty)
  }

  @Test("a name that stands twice is an error, not a choice")
  func twice() throws {
    let values = try hyperparameters()
    var stored = try Self.complete(values)
    stored.append(stored[0])
    #expect(throws: CatalogError.self) { try llama().match(stored, naming: .huggingFace, hyperparameters: values) }
  }

  @Test(
    "stored shapes are found under canonical names",
    arguments: [
      ("model.layers.11.self_attn.q_proj.weight", "blk.11.attn_q.weight"), ("lm_head.weight", "output.weight"),
      ("model.embed_tokens.weight", "token_embd.weight"), ("other", nil), ("model.layers.x.mlp.up_proj.weight", nil),
    ] as [(String, ByteString?)])
  func canonical(name: String, expected: ByteString?) throws {
    let shapes = try llama().storedShapes([try tensor(name, [3, 2])], naming: .huggingFace)
    #expect(shapes.keys.first == expected)
    #expect(shapes.count == (expected == nil ? 0 : 1))
  }
}
