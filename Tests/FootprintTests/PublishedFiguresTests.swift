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

  @Test(
    "Llama-3.1-8B files, GiB",
    arguments: [
      (BlockFormat.f16, 14.96), (.q8_0, 7.95), (.q6_K, 6.14),
    ])
  func llamaFiles(format: BlockFormat, published: Double) throws {
    let model = try shape(Configurations.llama3).formatted(as: pure(format))
    let ours = Double(try Footprint(of: model, for: llamaCpp(context: 512)).weightsBytes) / Self.gib
    #expect(abs(ours / published - 1) < 0.03, "\(ours) GiB against \(published)")
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
}
