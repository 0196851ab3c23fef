import Bytes
import Catalog
import IR
import Testing

@Suite struct HyperparameterTests {
  @Test(
    "what config.json says, in the keys of old and new releases",
    arguments: [
      ("", "rope.freq_base", .number(10000)),
      (#""rope_theta": 500000.0"#, "rope.freq_base", .number(500000)),
      (#""rope_parameters": {"rope_theta": 500000, "rope_type": "default"}"#, "rope.freq_base", .number(500000)),
      (#""rope_parameters": {"rope_theta": 500000, "rope_type": "default"}"#, "rope.scaling.type", .string("none")),
      (#""rope_scaling": null"#, "rope.scaling.type", .string("none")),
      (#""rope_scaling": {"type": "linear", "factor": 2.0}"#, "rope.scaling.type", .string("linear")),
      (#""rope_scaling": {"rope_type": "linear", "factor": 2}"#, "rope.scaling.factor", .number(2)),
      (
        #""rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}"#,
        "rope.scaling.original_context_length", .integer(64)
      ),
      (
        #""rope_parameters": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}"#,
        "rope.scaling.high_freq_factor", .number(4)
      ),
      (
        #""rope_parameters": {"rope_type": "yarn", "beta_fast": 16, "attention_factor": 1.5}"#,
        "rope.scaling.attention_factor", .number(1.5)
      ),
      ("", "attention.key_length", .integer(16)), (#""head_dim": null"#, "attention.key_length", .integer(16)),
      (#""head_dim": 24"#, "attention.key_length", .integer(24)),
      (#""head_dim": 24"#, "attention.value_length", .integer(24)),
      (#""head_dim": 24"#, "rope.dimension_count", .integer(24)),
      ("", "attention.head_count_kv", .integer(4)),
      (#""num_key_value_heads": 2"#, "attention.head_count_kv", .integer(2)),
      (#""num_key_value_heads": null"#, "attention.head_count_kv", .integer(4)),
      ("", "attention.sliding_window", .integer(0)),
      (#""sliding_window": null"#, "attention.sliding_window", .integer(0)),
      (#""sliding_window": 12"#, "attention.sliding_window", .integer(12)),
      ("", "attention.qkv_bias", .bool(false)), (#""attention_bias": true"#, "attention.qkv_bias", .bool(true)),
      (#""attention_bias": true"#, "attention.output_bias", .bool(true)),
      (#""mlp_bias": true"#, "feed_forward.bias", .bool(true)),
      (#""tie_word_embeddings": true"#, "output.tied", .bool(true)),
      (#""tie_word_embeddings": false"#, "output.tied", .bool(false)),
      (#""hidden_act": "gelu""#, "feed_forward.activation", .string("gelu")),
      (#""rms_norm_eps": 1e-05"#, "attention.layer_norm_rms_epsilon", .number(1e-5)),
      (#""max_position_embeddings": 131072"#, "context_length", .integer(131072)),
    ] as [(String, String, Hyperparameters.Value)])
  func values(changes: String, name: String, value: Hyperparameters.Value) throws {
    #expect(try hyperparameters(changes)[name] == value)
  }

  @Test("what config.json leaves out, the tensors tell")
  func fromTensors() throws {
    let matrix = Shape.matrix(rows: 320, columns: 64)
    var shapes: [ByteString: Shape] = ["token_embd.weight": matrix]
    #expect(try hyperparameters("", tensors: shapes).bool("output.tied") == true)
    shapes["output.weight"] = matrix
    shapes["blk.0.attn_q.bias"] = .vector(64)
    let values = try hyperparameters(#""vocab_size": null"#, tensors: shapes)
    #expect(values.bool("output.tied") == false)
    #expect(values.bool("attention.qkv_bias") == true)
    #expect(values.bool("feed_forward.bias") == false)
    #expect(values.integer("vocab_size") == 320)
  }

  @Test(
    "what cannot be is refused, with the key",
    arguments: [
      (#""hidden_size": null"#, "hidden_size"), (#""hidden_size": "64""#, "hidden_size"),
      (#""hidden_size": -64"#, "hidden_size"),
      (#""hidden_size": 64.5"#, "hidden_size"), (#""num_hidden_layers": 10000000"#, "num_hidden_layers"),
      (#""hidden_size": 0"#, "hidden_size"), (#""num_attention_heads": 0"#, "num_attention_heads"),
      (#""head_dim": 15"#, "head_dim"), (#""vocab_size": 99999999999999"#, "vocab_size"),
      (#""tie_word_embeddings": "yes""#, "tie_word_embeddings"), (#""rope_theta": "big""#, "rope_theta"),
      (#""rope_scaling": {"type": 3}"#, "rope_scaling.type"), (#""hidden_act": "swish7""#, "swish7"),
      (#""num_key_value_heads": []"#, "num_key_value_heads"),
    ])
  func impossible(changes: String, key: String) throws {
    let error = #expect(throws: CatalogError.self) { try hyperparameters(changes) }
    #expect("\(try #require(error))".contains(key))
  }

  @Test(
    "what the runtime cannot compute is refused",
    arguments: [
      (#""num_key_value_heads": 3"#, "key-value heads"),
      (#""rope_scaling": {"type": "spiral", "factor": 2.0}"#, "spiral"), (#""rope_theta": 0"#, "rope.freq_base"),
      (#""rope_scaling": {"type": "linear", "factor": 0}"#, "scaling.factor"),
      (#""rope_scaling": {"type": "llama3", "factor": 8.0}"#, "low_freq_factor"),
    ])
  func notComputable(changes: String, word: String) throws {
    let values = try hyperparameters(changes)
    let error = #expect(throws: CatalogError.self) { try TransformerConfiguration(values, graph: try llama().graph) }
    #expect("\(try #require(error))".contains(word))
  }

  @Test("GGUF metadata, with F32 read as the decimal that was meant")
  func gguf() throws {
    var metadata = Metadata()
    for (key, value) in [
      ("vocab_size", 320), ("context_length", 256), ("embedding_length", 64), ("block_count", 2),
      ("feed_forward_length", 160),
      ("attention.head_count", 4), ("attention.head_count_kv", 2),
    ] {
      metadata[ByteString("llama.\(key)")] = .uint32(UInt32(value))
    }
    metadata["llama.attention.layer_norm_rms_epsilon"] = .float32(1e-5)
    metadata["quern.feed_forward.activation"] = .string("gelu")
    let values = try llama().readHyperparameters(from: .gguf(metadata, architecture: "llama"), tensors: [:])
    #expect(values.number("attention.layer_norm_rms_epsilon") == 1e-5)
    #expect(values.integer("attention.key_length") == 16)
    #expect(values.string("feed_forward.activation") == "gelu")
    metadata["llama.block_count"] = .string("two")
    #expect(throws: CatalogError.self) {
      try llama().readHyperparameters(from: .gguf(metadata, architecture: "llama"), tensors: [:])
    }
  }
}
