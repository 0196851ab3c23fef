import Bytes
import Catalog
import IR
import Testing

/// Families of other shapes than Llama's: stacks of experts, fused and transposed tensors, heads.
@Suite struct FamilyTests {
  @Test("a made-up family is one descriptor: it inherits, exchanges words and states what differs")
  func madeUp() throws {
    let descriptor = #"""
      {"family": "zebra", "inherits": "llama", "describes": "Llama with other names, striped",
       "huggingFace": {"model_type": ["zebra"], "architectures": ["ZebraForCausalLM"]},
       "gguf": {"architecture": null}, "substitute": {"model.layers": "zebra.stripes", "model.": "zebra."},
       "without": ["blk.{layer}.attn_q.bias"],
       "hyperparameters": [{"name": "block_count", "type": "integer", "huggingFace": ["n_stripes"]}]}
      """#
    let catalog = try Catalog(additional: [("zebra.json", Array(descriptor.utf8))])
    let zebra = try catalog.architecture(configuration: try configuration(#"{"model_type": "zebra"}"#))
    let values = try zebra.readHyperparameters(
      from: .huggingFace(try small(#""model_type": "zebra", "n_stripes": 2"#)), tensors: nil)
    let stored = try zebra.instances(in: values).map { try tensor($0.huggingFaceNames[0].text, $0.shape.dimensions) }
    #expect(stored.contains { $0.name == "zebra.stripes.1.mlp.down_proj.weight" })
    #expect(stored.contains { $0.name == "zebra.embed_tokens.weight" })
    let matched = try zebra.match(stored, naming: .huggingFace, hyperparameters: values)
    #expect(matched.report.consumed.count == stored.count)
    #expect(matched.tensors.contains { $0.name == "blk.1.ffn_down.weight" })
    #expect(zebra.graph == (try llama().graph))
  }

  @Test(
    "a descriptor of the user's own that is wrong names file and key",
    arguments: [
      ("[]", "object"), (#"{"family": "z", "inherits": "nobody"}"#, "inherits: nobody"),
      (#"{"family": "z", "inherits": "llama", "graph": {"positions": ["sideways"]}}"#, "positions"),
      (#"{"family": "z", "inherits": "llama", "tensors": [{"name": "x", "shape": ["a +"]}]}"#, "shape"),
    ])
  func wrong(text: String, key: String) {
    #expect(throws: DescriptorError.invalid(file: "mine.json", key: key)) {
      try Catalog(additional: [("mine.json", Array(text.utf8))])
    }
  }

  @Test(
    "options that change the computation are refused by name",
    arguments: [
      ("llama", #""hidden_act": "mish""#, "mish"), ("llama", #""rope_scaling": {"rope_type": "spiral"}"#, "spiral"),
      ("llama", #""attn_logit_softcapping": 30.0"#, "attn_logit_softcapping"),
      ("llama", #""use_qk_norm": true"#, "use_qk_norm"),
      ("bert", #""position_embedding_type": "relative_key""#, "relative_key"),
      ("bert", #""hidden_act": "mish""#, "mish"),
      ("gpt2", #""scale_attn_by_inverse_layer_idx": true"#, "scale_attn_by_inverse_layer_idx"),
      ("gemma3_text", #""use_bidirectional_attention": true"#, "use_bidirectional_attention"),
      ("qwen2", #""qk_layernorm": true"#, "qk_layernorm"),
      ("llama", #""rope_scaling": {"type": "yarn", "factor": 4, "mscale": 0.8}"#, "rope_scaling.mscale"),
      (
        "gpt_neox", #""rope_parameters": {"rope_type": "yarn", "factor": 4, "truncate": false}"#,
        "rope_parameters.truncate"
      ),
      (
        "llama", #""rope_parameters": {"rope_type": "linear", "factor": 4, "partial_rotary_factor": 0.5}"#,
        "partial_rotary_factor"
      ),
      ("llama", #""attention_chunk_size": 8192"#, "attention_chunk_size"),
      ("gpt_neox", #""rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": 16}"#, "beta_fast"),
      ("deepseek_v3", #""rope_interleave": false"#, "rope_interleave"),
      ("deepseek_v3", #""attention_bias": true"#, "attention_bias"),
      ("deepseek_v3", #""moe_layer_freq": 2"#, "moe_layer_freq"),
      ("ernie4_5_moe", #""use_bias": true"#, "use_bias"),
      ("xlnet", #""attn_type": "uni""#, "attn_type"), ("xlnet", #""clamp_len": 8"#, "clamp_len"),
      ("xlnet", #""ff_activation": "mish""#, "mish"),
      ("electra", #""position_embedding_type": "relative_key_query""#, "relative_key_query"),
      ("roberta", #""is_decoder": true"#, "is_decoder"),
      ("albert", #""hidden_act": "mish""#, "mish"),
      ("bart", #""activation_function": "mish""#, "mish"), ("bart", #""normalize_before": true"#, "normalize_before"),
      ("bart", #""static_position_embeddings": true"#, "static_position_embeddings"),
      ("t5", #""feed_forward_proj": "gated-relu""#, "gated-relu"), ("t5", #""feed_forward_proj": "mish""#, "mish"),
      ("chatglm", #""ffn_hidden_size": 64, "apply_residual_connection_post_layernorm": true"#, "post_layernorm"),
      ("chatglm", #""ffn_hidden_size": 64, "rmsnorm": false"#, "rmsnorm"),
      ("chatglm", #""inner_hidden_size": 64, "position_encoding_2d": false"#, "position_encoding_2d"),
      ("gpt_pangu", #""scale_attn_weights": false"#, "scale_attn_weights"),
    ])
  func refused(type: String, member: String, named: String) throws {
    let catalog = try Catalog()
    let object = try small(#""model_type": "\#(type)", "architectures": [], \#(member)"#)
    let error = #expect(throws: CatalogError.self) {
      let family = try catalog.architecture(configuration: object)
      let values = try family.readHyperparameters(from: .huggingFace(object), tensors: nil)
      _ = try RotaryEmbedding(values)
    }
    #expect("\(try #require(error))".contains(named), "\(String(describing: error))")
  }

  @Test("neutral values of such options pass")
  func neutral() throws {
    let object = try small(
      #""attn_logit_softcapping": null, "use_qk_norm": false, "rope_scaling": null, "alibi": false"#)
    #expect(try Catalog().architecture(configuration: object).family == "llama")
  }

  @Test("experts are stacked, and one that is missing is named")
  func experts() throws {
    let mixtral = try #require(try Catalog().architecture(family: "mixtral"))
    let values = try mixtral.readHyperparameters(
      from: .huggingFace(try small(#""num_local_experts": 3, "num_experts_per_tok": 2"#)), tensors: nil)
    var stored: [TensorRef] = []
    for instance in mixtral.instances(in: values) {
      let isStack = instance.huggingFaceNames.count > 1
      let shape = isStack ? Array(instance.shape.dimensions.dropFirst()) : instance.shape.dimensions
      for name in instance.huggingFaceNames { stored.append(try tensor(name.text, shape)) }
    }
    let matched = try mixtral.match(stored, naming: .huggingFace, hyperparameters: values)
    let stack = try #require(matched.tensors.first { $0.name == "blk.0.ffn_down_exps.weight" })
    #expect(stack.shape.dimensions == [3, 64, 160])
    stored.removeAll { $0.name == "model.layers.1.block_sparse_moe.experts.2.w1.weight" }
    let error = #expect(throws: CatalogError.self) {
      try mixtral.match(stored, naming: .huggingFace, hyperparameters: values)
    }
    #expect("\(try #require(error))" == "tensor model.layers.1.block_sparse_moe.experts.2.w1.weight is missing")
  }
}
