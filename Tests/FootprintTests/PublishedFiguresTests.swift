import Bytes
import Catalog
import Footprint
import IR
import Testing

/// The laws against figures that others published; none of them is stored in the laws.
@Suite struct PublishedFiguresTests {
  /// Qwen2.5-7B, which is a Llama with biases (too small to matter here, so left out).
  static let qwen = """
    {"model_type": "llama", "hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28,
     "num_key_value_heads": 4, "intermediate_size": 18944, "vocab_size": 152064, "max_position_embeddings": 32768}
    """
  static let gib = 1_073_741_824.0

  @Test(
    "transformers on an A100 (Qwen2.5's own table), GiB, 2048 new tokens",
    arguments: [
      (nil as WeightEncoding?, 1, 14.38), (nil, 30720, 19.97), (.gptqInt8, 14336, 10.96), (.awqInt4, 6144, 6.39),
    ])
  func qwen(encoding: WeightEncoding?, prompt: Int, published: Double) throws {
    var model = try shape(Self.qwen, .bf16)
    if let encoding { model = model.encoded(as: encoding) }
    var request = FootprintRequest(context: prompt + 2048, profile: try RuntimeProfile.named("transformers"))
    request.promptTokens = prompt
    let ours = Double(try Footprint(of: model, for: request).totalBytes) / Self.gib
    #expect(abs(ours / published - 1) < 0.03, "\(ours) GiB against \(published)")
  }

  /// llama.cpp's mixtures for a model of 32 layers with four heads to a key: the type of most matrices, and what the
  /// values' and down projections and the head get instead.
  struct Mixture: Sendable {
    let most: BlockFormat
    var head = BlockFormat.q6_K
    /// Layers at both ends and every third between get the first, the others the second.
    var values: (BlockFormat, BlockFormat)?
    var down: (BlockFormat, BlockFormat)?
    var attentionOutput: BlockFormat?

    func format(_ name: String) -> BlockFormat {
      let parts = name.split(separator: ".")
      if name == "output.weight" { return head }
      guard parts.count > 2, let layer = Int(parts[1]) else { return most }
      let isMore = layer < 4 || layer >= 28 || (layer - 4) % 3 == 2
      switch parts[2] {
      case "attn_v": return values.map { isMore ? $0.0 : $0.1 } ?? most
      case "ffn_down": return down.map { isMore ? $0.0 : $0.1 } ?? most
      case "attn_output": return attentionOutput ?? most
      default: return most
      }
    }
  }

  @Test(
    "Llama-3.1-8B files, GiB",
    arguments: [
      (Mixture(most: .f16, head: .f16), 14.96), (Mixture(most: .q8_0, head: .q8_0), 7.95), (Mixture(most: .q6_K), 6.14),
      (Mixture(most: .q5_K, values: (.q6_K, .q5_K), down: (.q6_K, .q5_K)), 5.33),
      (Mixture(most: .q4_K, values: (.q6_K, .q4_K), down: (.q6_K, .q4_K)), 4.58),
      (Mixture(most: .q4_K, values: (.q5_K, .q4_K), down: (.q5_K, .q4_K)), 4.36),
      (Mixture(most: .iq4_XS, values: (.q5_K, .q5_K)), 4.17),
      (Mixture(most: .q3_K, values: (.q4_K, .q4_K), down: (.q4_K, .q4_K), attentionOutput: .q4_K), 3.74),
      (Mixture(most: .q2_K, values: (.q4_K, .q4_K), down: (.q3_K, .q3_K), attentionOutput: .q3_K), 2.95),
    ])
  func llamaFiles(mixture: Mixture, published: Double) throws {
    let model = try shape(Configurations.llama3).formatted { name, shape, _ in
      shape.dimensions.count > 1 ? mixture.format(name.text) : .f32
    }
    let ours = Double(try Footprint(of: model, for: llamaCpp(context: 512)).weightsBytes) / Self.gib
    #expect(abs(ours / published - 1) < 0.03, "\(ours) GiB against \(published)")
  }

  @Test("GLM-130B in INT4: about 70 GB; GPT-3 in FP16: 349 GB")
  func large() throws {
    let glm = try #require(try ReleasedModels(Catalog()).model(named: "glm-130b"))
    var request = FootprintRequest(context: 512, profile: try RuntimeProfile.named("chatglm"))
    request.device = try DeviceCatalog().device(named: "A100 80GB SXM")
    let quantized = try Footprint(of: ModelShape(glm).encoded(as: .rowInt4), for: request)
    // All in all, with a short context: 67.2 GB of weights, and 3.4 MB of cache a token.
    #expect(abs(Double(quantized.totalBytes) / 70e9 - 1) < 0.03, "\(quantized.totalBytes)")
    #expect(quantized.kvCacheBytes == 512 * 3_440_640)
    let gpt = try #require(try ReleasedModels(Catalog()).model(named: "gpt3-175b"))
    let whole = try Footprint(
      of: ModelShape(gpt), for: FootprintRequest(context: 2048, profile: .named("transformers")))
    #expect(abs(Double(whole.weightsBytes) / 349e9 - 1) < 0.03, "\(whole.weightsBytes)")
    #expect(whole.kvCacheBytes == 2048 * 4_718_592)
  }

  @Test(
    "KV cache per token: 458,752 bytes of ChatGLM-6B, 28,672 of ChatGLM2-6B, 4.72 MB of GPT-3",
    arguments: [
      (28, 32, 128, 458_752), (28, 2, 128, 28_672), (96, 96, 128, 4_718_592),
    ])
  func perToken(layers: Int, kvHeads: Int, headLength: Int, bytes: Int) throws {
    var hyperparameters = try shape(Configurations.llama2).hyperparameters
    hyperparameters["block_count"] = .integer(layers)
    hyperparameters["attention.head_count_kv"] = .integer(kvHeads)
    hyperparameters["attention.key_length"] = .integer(headLength)
    hyperparameters["attention.value_length"] = .integer(headLength)
    let model = ModelShape(family: "test", hyperparameters: hyperparameters, tensors: [])
    #expect(try Footprint(of: model, for: llamaCpp(context: 1024)).kvCacheBytes == 1024 * bytes)
  }

  @Test(
    "ChatGLM2-6B in its own code (published in GiB, called GB)",
    arguments: [
      (nil as WeightEncoding?, 13.1, 12.8), (.rowInt8, 8.2, 8.1), (.rowInt4, 5.5, 5.1),
    ])
  func chatGLM2(encoding: WeightEncoding?, encode: Double, generate: Double) throws {
    let model = encoding.map { Self.chatGLM2.encoded(as: $0) } ?? Self.chatGLM2
    #expect(model.parameterCount == 6_243_584_000)
    var request = FootprintRequest(context: 2048, profile: try RuntimeProfile.named("chatglm"))
    request.device = try DeviceCatalog().device(named: "A100 80GB SXM")
    // Encoding 2048 tokens; generating 8192 after a prompt of one.
    let encoding = Double(try Footprint(of: model, for: request).totalBytes) / Self.gib
    #expect(abs(encoding / encode - 1) < 0.05, "\(encoding) against \(encode)")
    request.context = 8192
    request.promptTokens = 1
    let generating = Double(try Footprint(of: model, for: request).totalBytes) / Self.gib
    #expect(abs(generating / generate - 1) < 0.05, "\(generating) against \(generate)")
  }

  static var chatGLM2: ModelShape {
    var hyperparameters = Hyperparameters()
    for (name, value) in [
      ("block_count", 28), ("embedding_length", 4096), ("feed_forward_length", 13696), ("vocab_size", 65024),
      ("context_length", 32768), ("attention.head_count", 32), ("attention.head_count_kv", 2),
      ("attention.key_length", 128),
      ("attention.value_length", 128), ("rope.dimension_count", 64),
    ] { hyperparameters[name] = .integer(value) }
    var tensors: [ModelShape.Tensor] = [
      .init(name: "token_embd.weight", shape: .matrix(rows: 65024, columns: 4096), format: .f16),
      .init(name: "output.weight", shape: .matrix(rows: 65024, columns: 4096), format: .f16),
      .init(name: "output_norm.weight", shape: .vector(4096), format: .f16),
    ]
    for layer in 0..<28 {
      for (name, shape) in [
        ("attn_norm.weight", Shape.vector(4096)), ("ffn_norm.weight", .vector(4096)), ("attn_qkv.bias", .vector(4608)),
        ("attn_qkv.weight", .matrix(rows: 4608, columns: 4096)),
        ("attn_output.weight", .matrix(rows: 4096, columns: 4096)),
        ("ffn_up.weight", .matrix(rows: 27392, columns: 4096)),
        ("ffn_down.weight", .matrix(rows: 4096, columns: 13696)),
      ] { tensors.append(.init(name: ByteString("blk.\(layer).\(name)"), shape: shape, format: .f16)) }
    }
    return ModelShape(family: "chatglm", hyperparameters: hyperparameters, tensors: tensors)
  }
}
