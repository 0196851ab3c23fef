import Bytes
import Footprint
import IR
import Testing

@Suite struct FootprintTests {
  @Test(
    "parameters and weight bytes",
    arguments: [
      (Configurations.smolLM2, 134_515_008, BlockFormat.bf16, 269_030_016),
      (Configurations.llama2, 6_738_415_616, .f16, 13_476_831_232),
      (Configurations.llama2, 6_738_415_616, .f32, 26_953_662_464),
      (Configurations.llama3, 8_030_261_248, .bf16, 16_060_522_496),
    ])
  func weights(configuration: String, parameters: Int, format: BlockFormat, bytes: Int) throws {
    let model = try shape(configuration, format)
    #expect(model.parameterCount == parameters)
    #expect(model.tensors.reduce(0) { $0 + ($1.byteCount ?? 0) } == bytes)
  }

  @Test("as if quantized: scales and norms counted")
  func quantized() throws {
    let model = try shape(Configurations.smolLM2).formatted(as: pure(.q8_0))
    let footprint = try Footprint(of: model, for: llamaCpp(context: 512))
    // 61 norms of 576 in F32; all else 34 bytes for 32.
    let norms = 61 * 576
    #expect(footprint.weightsBytes == (134_515_008 - norms) / 32 * 34 + norms * 4)
    #expect(abs(model.bitsPerWeight - 8.506) < 0.001)
  }

  @Test(
    "our runtime: panels of 16 rows, whole cache lines, large buffers on whole pages",
    arguments: [
      // rows, bytes of the embedding's buffer; 576 columns in Q4_0 are 324 bytes a row
      (4096, 4096 * 324 + 64), (4097, 4112 * 324 + 64), (49153, 15_933_440),
    ])
  func panels(rows: Int, bytes: Int) throws {
    let model = try shape(Configurations.smolLM2.replacing("49152", with: "\(rows)")).formatted(as: pure(.q4_0))
    let footprint = try Footprint(of: model, for: FootprintRequest(context: 512))
    let embedding = try #require(footprint.items.first { $0.name == "embedding Q4_0" })
    #expect(embedding.bytes == bytes)
  }

  @Test("our runtime decodes tables when it loads them, and multiplies nothing with them")
  func tables() throws {
    let gpt2 = """
      {"model_type": "gpt2", "n_embd": 512, "n_layer": 6, "n_head": 8, "n_positions": 8192, "vocab_size": 4096}
      """
    let model = try shape(gpt2).formatted { name, shape, _ in
      name == "position_embd.weight" ? .bf16 : shape.dimensions.count > 1 ? .q8_0 : .f32
    }
    let items = try Footprint(of: model, for: FootprintRequest(context: 512)).items
    #expect(items.first { $0.name == "layers F32" }?.bytes == 8192 * 512 * 4)
    #expect(!items.contains { $0.name == "product input, F32" })
    #expect(items.contains { $0.name == "product input, int8" })
  }

  @Test(
    "KV cache of llama.cpp: cells in multiples of 256",
    arguments: [
      // 2 × 30 layers × 3 heads × 64 × 2 bytes a token
      (Configurations.smolLM2, 512, 1, BlockFormat.f16, 23_040 * 512),
      (Configurations.smolLM2, 513, 1, .f16, 23_040 * 768),
      (Configurations.smolLM2, 8192, 4, .f16, 23_040 * 8192 * 4),
      (Configurations.smolLM2, 512, 1, .f32, 46_080 * 512),
      (Configurations.smolLM2, 512, 1, .q8_0, 23_040 / 64 * 34 * 512),
      (Configurations.smolLM2, 512, 1, .q4_0, 23_040 / 64 * 18 * 512),
      (Configurations.llama2, 4096, 1, .f16, 524_288 * 4096),
      (Configurations.llama3, 8192, 1, .f16, 131_072 * 8192),
    ])
  func cache(configuration: String, context: Int, batch: Int, format: BlockFormat, bytes: Int) throws {
    var request = try llamaCpp(context: context)
    request.batch = batch
    request.keyFormat = format
    request.valueFormat = format
    #expect(try Footprint(of: shape(configuration), for: request).kvCacheBytes == bytes)
  }

  @Test(
    "KV cache of our runtime: positions in multiples of 16, a buffer for K and V of each layer",
    arguments: [
      // 30 layers × 2 × (3 heads × 64 × 2 bytes × positions + 64)
      (512, 1, BlockFormat.f16, 60 * (384 * 512 + 64)), (513, 1, .f16, 60 * (384 * 528 + 64)),
      (512, 3, .f32, 3 * 60 * (768 * 512 + 64)), (8192, 1, .f16, 60 * (3 << 20)),
      // Blocks of 32 elements: 34 and 18 bytes.
      (512, 1, .q8_0, 60 * (204 * 512 + 64)), (513, 1, .q4_0, 60 * (108 * 528 + 64)),
    ])
  func ownCache(context: Int, batch: Int, format: BlockFormat, bytes: Int) throws {
    let request = FootprintRequest(context: context, batch: batch, keyFormat: format, valueFormat: format)
    #expect(try Footprint(of: shape(Configurations.smolLM2), for: request).kvCacheBytes == bytes)
  }

  @Test("our runtime's packed cache has whole blocks for each position and head", arguments: [BlockFormat.q8_0, .q4_0])
  func ownCacheOfOddHeads(format: BlockFormat) throws {
    // Heads of 80: 3 blocks. 32 layers of 32 heads, keys and values.
    let model = """
      {"model_type": "llama", "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32,
       "vocab_size": 51200, "intermediate_size": 10240, "max_position_embeddings": 2048}
      """
    let request = FootprintRequest(context: 512, keyFormat: format, valueFormat: format)
    let footprint = try Footprint(of: shape(model), for: request)
    #expect(footprint.kvCacheBytes == 64 * (32 * 512 * 3 * format.bytesPerBlock + 64))
    let values = try #require(footprint.items.first { $0.name == "values \(format.name)" })
    #expect(values.formula.contains("⌈valueLength 80⌉32 ÷ 32"), "\(values.formula)")
  }

  @Test("the total is the sum of the items, and every item has its formula")
  func totals() throws {
    let footprint = try Footprint(of: shape(Configurations.llama3), for: FootprintRequest(context: 4096, batch: 2))
    #expect(footprint.totalBytes == footprint.items.reduce(0) { $0 + $1.bytes })
    #expect(
      footprint.totalBytes == footprint.weightsBytes + footprint.kvCacheBytes + footprint.computeBytes
        + footprint.overheadBytes)
    #expect(footprint.gradientBytes == 0 && footprint.optimizerBytes == 0)
    #expect(footprint.items.allSatisfy { !$0.formula.isEmpty })
    let keys = try #require(footprint.items.first { $0.part == .kvCache })
    #expect(
      keys.formula
        == "batch 2 × layers 32 × ⌈kvHeads 8 × ⌈context 4096⌉16 × keyLength 128 × F16 bytes 2⌉4096")
  }

  @Test(
    "the program counts where it lives: beside a device with memory of its own, in the host's",
    arguments: [("host", true), ("apple", true), ("consumer", false), ("budget", false)])
  func program(kind: String, counts: Bool) throws {
    let model = try shape(Configurations.llama3)
    var request = FootprintRequest(context: 4096)
    let bare = try Footprint(of: model, for: request)
    request.device = Device(name: kind, kind: kind, usableBytes: 1 << 34)
    let footprint = try Footprint(of: model, for: request)
    #expect(bare.overheadBytes > 20_000_000 && bare.hostItems.isEmpty)
    #expect(footprint.overheadBytes == (counts ? bare.overheadBytes : 0))
    #expect(footprint.hostBytes == (counts ? 0 : bare.overheadBytes))
    #expect(footprint.totalBytes + footprint.hostBytes == bare.totalBytes)
  }

  @Test(
    "impossible requests are refused by name",
    arguments: [
      FootprintRequest(context: 0), FootprintRequest(context: 1 << 40), FootprintRequest(context: 512, batch: 0),
      FootprintRequest(context: 512, keyFormat: .q4_K), FootprintRequest(context: 512, valueFormat: .i8),
      FootprintRequest(context: 512, keyFormat: .q8_0),
    ])
  func refused(request: FootprintRequest) throws {
    let model = try shape(Configurations.smolLM2)
    #expect(throws: FootprintError.self) { try Footprint(of: model, for: request) }
  }

  @Test(
    "each runtime's cache comes in its own types",
    arguments: [
      ("quern", "q8_0", true), ("quern", "q5_0", false), ("quern", "f32", true), ("llama.cpp", "q4_0", true),
      ("llama.cpp", "iq4_nl", true),
      ("llama-server", "q8_0", true), ("transformers", "q8_0", false), ("transformers", "bf16", true),
      ("vllm", "q4_0", false), ("vllm", "f8_e4m3", true), ("chatglm", "f32", false),
    ])
  func cacheTypes(profile: String, type: String, isKnown: Bool) throws {
    let model = try shape(Configurations.smolLM2)
    let format = try #require(BlockFormat.named(type))
    let request = FootprintRequest(
      context: 512, keyFormat: format, valueFormat: format, profile: try RuntimeProfile.named(profile))
    #expect(((try? Footprint(of: model, for: request)) != nil) == isKnown)
  }

  @Test("llama.cpp keeps no packed values without flash attention")
  func packedValues() throws {
    var request = try llamaCpp(context: 512)
    request.flashAttention = false
    request.keyFormat = .q8_0
    let model = try shape(Configurations.smolLM2)
    #expect(throws: Never.self) { try Footprint(of: model, for: request) }
    request.valueFormat = .q8_0
    #expect(throws: FootprintError.self) { try Footprint(of: model, for: request) }
  }

  @Test("llama-server has logits for one token a sequence", arguments: [1, 4])
  func server(sequences: Int) throws {
    let model = try shape(Configurations.smolLM2)
    var request = try llamaCpp(context: 4096)
    request.batch = sequences
    #expect(try Footprint(of: model, for: request).computeBytes == 4 * 512 * (49152 + 2 * 576))
    request.profile = try RuntimeProfile.named("llama-server")
    // Feed-forward is the widest moment then.
    #expect(try Footprint(of: model, for: request).computeBytes == 4 * 512 * (3 * 1536 + 4 * 576) + 2 * 512 * 4096)
  }

  @Test(
    "llama-server's compute buffer, as libllama tells it with as many outputs as sequences (MiB)",
    arguments: [
      // width, feed-forward, heads, heads of keys, experts of width 768; ctx 4096 except where packed
      (8192, 28672, 64, 8, 0, BlockFormat.f32, 4096, 220.01), (4096, 14336, 32, 8, 0, .f32, 4096, 112.01),
      (4096, 14336, 32, 8, 0, .f16, 4096, 120.01), (2048, 6144, 32, 4, 128, .f16, 4096, 92.01),
      (2048, 6144, 32, 4, 128, .f32, 4096, 84.51), (2048, 6144, 32, 4, 128, .q8_0, 32768, 120.09),
      (2048, 6144, 32, 4, 128, .q4_0, 8192, 96.09),
    ])
  func serverBuffers(
    width: Int, feedForward: Int, heads: Int, keyHeads: Int, experts: Int, cache: BlockFormat, context: Int,
    mebibytes: Double
  ) throws {
    let head = 128
    var model = try shape(
      """
      {"model_type": "\(experts > 0 ? "qwen3_moe" : "llama")", "hidden_size": \(width), "num_hidden_layers": 4,
       "num_attention_heads": \(heads), "num_key_value_heads": \(keyHeads), "head_dim": \(head),
       "intermediate_size": \(feedForward), "vocab_size": 32000, "max_position_embeddings": 131072,
       "num_experts": \(experts), "num_experts_per_tok": 8, "moe_intermediate_size": 768}
      """)
    model = model.formatted(as: pure(.f16))
    let request = FootprintRequest(
      context: context, keyFormat: cache, valueFormat: cache, profile: try RuntimeProfile.named("llama-server"))
    let ours = Double(try Footprint(of: model, for: request).computeBytes) / 1_048_576
    #expect(abs(ours / mebibytes - 1) < 0.01, "\(ours)")
  }

  @Test(
    "latent attention: compressed, but in old transformers every head's keys and values",
    arguments: [
      ("llama.cpp", 61 * 576 * 2), ("vllm", 61 * 576 * 2), ("transformers", 61 * 576 * 2),
      ("transformers-4.44", 61 * 128 * (192 + 128) * 2),
    ])
  func latent(profile: String, perToken: Int) throws {
    let model = try OffloadTests.released("deepseek-v3", .bf16)
    let request = FootprintRequest(context: 1024, profile: try RuntimeProfile.named(profile))
    #expect(try Footprint(of: model, for: request).kvCacheBytes == 1024 * perToken)
  }

  @Test(
    "a window on every layer (Mistral 4096): llama.cpp and old transformers keep all, new ones and vLLM the window",
    arguments: [("llama.cpp", 8192), ("transformers-4.44", 8192), ("transformers", 4095), ("vllm", 4096)])
  func window(profile: String, cells: Int) throws {
    let model = try OffloadTests.released("mistral-7b", .f16)
    let request = FootprintRequest(context: 8192, profile: try RuntimeProfile.named(profile))
    #expect(try Footprint(of: model, for: request).kvCacheBytes == cells * 32 * 2 * 1024 * 2)
  }

  @Test("notes: beyond the trained context, families that our runtime does not run")
  func notes() throws {
    var model = try shape(Configurations.smolLM2)
    let notes = { (context: Int) in try Footprint(of: model, for: FootprintRequest(context: context)).notes }
    #expect(try notes(8192).isEmpty)
    #expect(try notes(8193).contains { $0.contains("8,192") })
    model.isRunnable = false
    #expect(try notes(512).contains { $0.contains("does not run") })
  }

  @Test("dimensions whose product overflows are an error, not a trap")
  func overflow() throws {
    let huge = Configurations.llama2.replacing("4096", with: "4294967296").replacing("11008", with: "4294967296")
    #expect(throws: FootprintError.self) {
      try Footprint(of: shape(huge), for: FootprintRequest(context: 1 << 32, batch: 1 << 20))
    }
  }
}

@Suite struct UndescribedModelTests {
  @Test(
    "a file of an unknown family may say any number of layers",
    arguments: [MetadataValue.uint32(0), .int32(-1), .uint32(.max), .uint64(1 << 62), .int64(.min)])
  func layers(count: MetadataValue) throws {
    var metadata = Metadata()
    for (key, value) in [
      ("block_count", count), ("nextn_predict_layers", .uint32(1)), ("embedding_length", .uint32(64)),
      ("attention.head_count", .uint32(4)), ("context_length", .uint32(512)), ("feed_forward_length", .uint32(128)),
      ("vocab_size", .uint32(100)),
    ] as [(String, MetadataValue)] {
      metadata[ByteString("other." + key)] = value
    }
    let model = ModelShape(Model(undescribed: "other", metadata: metadata, tensors: []))
    for profile in try RuntimeProfile.all() {
      #expect(throws: FootprintError.self) {
        try Footprint(of: model, for: FootprintRequest(context: 512, profile: profile))
      }
    }
  }
}
