import Bytes
import Codecs
import ContainerTesting
import Conversion
import IR
import Kernels
import ModelTesting
import SystemPackage
import Testing

/// The folders under Fixtures/conformance with models of the family `llama` that GGUF can hold; what the others compute
/// after the same ways is in RuntimeTests.
let llamaCases = FileSystem.names(in: fixtures.appending("conformance")).filter { name in
  guard let model = try? openCase(name).model else { return true }
  return model.family == "llama" && model.hyperparameters.string("rope.scaling.type") != "dynamic"
}

/// Names, shapes, formats and bytes, in canonical order.
func contents(_ opened: OpenedModel) throws -> [ByteString: [UInt8]] {
  var result: [ByteString: [UInt8]] = [:]
  for tensor in opened.model.tensors {
    result[tensor.name] = Array("\(tensor.shape) \(tensor.format.name) ".utf8) + (try tensor.readAll())
  }
  return result
}

/// The same with vectors widened to F32, which is all that GGUF's readers take; no float that is stored changes by that.
func widened(_ opened: OpenedModel) throws -> [ByteString: [UInt8]] {
  var result: [ByteString: [UInt8]] = [:]
  for tensor in opened.model.tensors {
    let format: BlockFormat = tensor.shape.dimensions.count == 1 ? .f32 : tensor.format
    let source =
      format == tensor.format ? tensor.source : try #require(RecodedSource(tensor, as: format, kernels: .best()))
    let wide = TensorRef(name: tensor.name, shape: tensor.shape, format: format, source: source)
    result[tensor.name] = Array("\(wide.shape) \(format.name) ".utf8) + (try wide.readAll())
  }
  return result
}

@Suite struct RoundTripTests {
  @Test("folder → GGUF → folder: the same tensors, and a configuration that says the same", arguments: llamaCases)
  func huggingFace(name: String) throws {
    let scratch = Scratch()
    let original = try openCase(name)
    let gguf = try original.converted(to: .gguf, at: scratch.path.appending("m.gguf"))
    #expect(try contents(gguf) == widened(original))
    let back = try gguf.converted(to: .safetensors, at: scratch.path.appending("back"))
    #expect(try contents(back) == widened(original))
    for entry in original.model.hyperparameters.entries {
      #expect(back.model.hyperparameters[entry.name] == entry.value, "\(entry.name)")
    }
    let source = { (opened: OpenedModel) in Set(opened.checkpoint.tensors.map(\.name)) }
    #expect(source(back) == source(original))
  }

  @Test(
    "what llama.cpp computes differently is said",
    arguments: [
      ("llama", nil), ("mistral-sliding", "sliding window"), ("v-llama-gelu", "SiLU only"),
      ("llama-yarn-biases", "beta_fast"),
      ("v-llama-yarn-factor", nil), ("v-qwen2-window", "sliding window"), ("v-qwen2-window-unused", nil),
      ("v-qwen2-moe-norm", "normalise"), ("qwen2-moe", nil), ("qwen3-moe", nil), ("gemma3", nil),
      ("v-gemma2-odd", "query_pre_attn_scalar"), ("t5", "scale the logits"), ("v-flan-t5-silu", "GELU only"),
      ("v-gpt2-inner-relu", "GELU only"), ("v-bert-no-pooler", "GELU only"), ("v-deepseek-v2-groups", "best two"),
      ("deepseek-v3", nil), ("v-phi3-longrope-16", "LongRoPE"), ("v-gemma2-no-caps", "no cap"), ("gemma2", nil),
      ("v-deepseek-v3-mscale", "mscale_all_dim"), ("v-llama-yarn-whole", "ramp"), ("v-qwen-lengthened", "seq_length"),
    ])
  func differences(name: String, said: String?) throws {
    let scratch = Scratch()
    let result = try openCase(name).write(to: scratch.path.appending("m.gguf"))
    let found = result.warnings.filter { $0.hasPrefix("llama.cpp computes it differently") }
    #expect(found.isEmpty == (said == nil), "\(found)")
    if let said { #expect(found.contains { $0.contains(said) }, "\(found)") }
  }

  @Test("the q and k rows really change places in GGUF")
  func permuted() throws {
    let scratch = Scratch()
    let original = try openCase("llama")
    let gguf = try original.converted(to: .gguf, at: scratch.path.appending("m.gguf"))
    let stored = { (opened: OpenedModel, name: ByteString) in
      try #require(opened.checkpoint.tensors.first { $0.name == name }).readAll()
    }
    #expect(
      try stored(gguf, "blk.0.attn_q.weight") != stored(original, "model.layers.0.self_attn.q_proj.weight"))
    #expect(try stored(gguf, "blk.0.attn_v.weight") == stored(original, "model.layers.0.self_attn.v_proj.weight"))
  }

  @Test("GGUF → GGUF keeps every entry of the metadata, in order")
  func metadata() throws {
    let scratch = Scratch()
    let first = try open(fixtures.appending("models/kjv-llama")).converted(
      to: .gguf, at: scratch.path.appending("a.gguf"))
    let second = try first.converted(to: .gguf, at: scratch.path.appending("b.gguf"))
    #expect(second.checkpoint.metadata == first.checkpoint.metadata)
    #expect(first.checkpoint.metadata.keys.contains("tokenizer.ggml.merges"))
    let third = try second.converted(to: .gguf, at: scratch.path.appending("c.gguf"), recipe: "q8_0")
    let changed = third.checkpoint.metadata.entries.filter { first.checkpoint.metadata[$0.key] != $0.value }.map(\.key)
    #expect(changed == ["general.file_type"])
    #expect(third.checkpoint.metadata.keys == first.checkpoint.metadata.keys)
  }

  @Test("a tokenizer survives the way through GGUF")
  func tokenizer() throws {
    let scratch = Scratch()
    let original = try open(fixtures.appending("models/kjv-llama"))
    let back = try original.converted(to: .gguf, at: scratch.path.appending("a.gguf"))
      .converted(to: .safetensors, at: scratch.path.appending("back"))
    #expect(back.model.tokenizer?.tokens == original.model.tokenizer?.tokens)
    #expect(FileSystem.names(in: scratch.path.appending("back")).contains("tokenizer.json"))
  }

  @Test("other float types where they are asked for", arguments: ["f32", "f16", "bf16"])
  func types(name: String) throws {
    let scratch = Scratch()
    let original = try openCase("llama")
    let other = try original.converted(to: .safetensors, at: scratch.path.appending("m"), recipe: name)
    let format = try #require(BlockFormat.named(name))
    #expect(other.model.tensors.allSatisfy { $0.format == ($0.shape.dimensions.count > 1 ? format : .f32) })
    #expect(other.checkpoint.configuration?["dtype"]?.string != nil)
  }

  @Test("split output is read back whole", arguments: [OutputContainer.gguf, .safetensors])
  func split(container: OutputContainer) throws {
    let scratch = Scratch()
    let original = try openCase("llama")
    try original.write(to: scratch.path.appending("m"), as: container, maximumShardBytes: 100_000)
    let path: FilePath
    switch container {
    case .gguf:
      let names = FileSystem.names(in: scratch.path)
      #expect(names.count > 2 && names.allSatisfy { $0.hasPrefix("m-0000") && $0.hasSuffix(".gguf") })
      path = scratch.path.appending(try #require(names.first))
    case .safetensors:
      path = scratch.path.appending("m")
      let names = FileSystem.names(in: path)
      #expect(names.contains("model.safetensors.index.json") && names.count { $0.hasSuffix(".safetensors") } > 2)
    }
    let back = try open(path)
    #expect(try widened(back) == widened(original))
    #expect(back.report.missing.isEmpty && back.report.unexpected.isEmpty)
  }
}
