import Bytes
import ContainerTesting
import Foundation
import SystemPackage
import Testing

/// `quern memory` and `quern fit` as a user meets them, held against what really happens.
@Suite(.serialized) struct MemoryTests {
  /// What a run with a prompt that fills the context takes, as the system counts it.
  private static func measured(_ model: String, context: Int, kv: String) throws -> Int {
    let outcome = try Quern.run([
      "run", model, "-p", String(repeating: "a ", count: context - 2), "-n", "1", "--ignore-end", "--threads", "2",
      "--arithmetic", kv == "f32" ? "exact" : "fast", "--kv", kv, "--json",
    ])
    let json = try outcome.json()
    #expect(json["promptTokens"]?.int == context - 1)
    return try #require(json["peakResidentBytes"]?.int)
  }

  @Test(
    "our own runtime: predicted against measured peak resident memory, within 3 % or 2 MB",
    arguments: [
      ("bf16", 512, "f16"), ("bf16", 4096, "f16"), ("bf16", 4096, "f32"), ("q8_0", 512, "f16"), ("q8_0", 4096, "f32"),
      ("q4_0", 512, "f32"), ("q4_0", 4096, "f16"), ("bf16", 4096, "q8_0"), ("q8_0", 4096, "q4_0"),
    ])
  func resident(recipe: String, context: Int, kv: String) throws {
    let scratch = Scratch()
    var model = kjv.string
    if recipe != "bf16" {
      model = scratch.path.appending("m.gguf").string
      #expect(try Quern.run(["quantize", kjv.string, "-o", model, "--recipe", recipe]).status == 0)
    }
    let memory = try Quern.run(["memory", model, "--context", "\(context)", "--kv", kv, "--json"]).json()
    let predicted = try #require(memory["totalBytes"]?.int)
    let measured = try Self.measured(model, context: context, kv: kv)
    let off = abs(predicted - measured)
    #expect(off <= max(2_000_000, measured * 3 / 100), "\(predicted) predicted, \(measured) measured")
  }

  @Test(
    "a folder for GPU libraries counts as packed where the runtime computes with that",
    arguments: [
      ("gptq-int4-g128", "transformers", true), ("awq-int4", "vllm", true), ("nf4", "transformers", true),
      ("w8a8", "vllm", true), ("w8a8", "transformers", false), ("gptq-int4-g32", "quern", false),
    ])
  func packedFolders(recipe: String, profile: String, isKept: Bool) throws {
    let scratch = Scratch()
    let folder = scratch.path.appending("packed").string
    #expect(try Quern.run(["quantize", kjv.string, "-o", folder, "--recipe", recipe]).status == 0)
    func weights(_ arguments: [String]) throws -> Int? {
      try Quern.run(["memory"] + arguments + ["--profile", profile, "--context", "512", "--json"]).json()[
        "weightsBytes"]?.int
    }
    // Bytes of the file's tensors: all but the header and its length.
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder + "/model.safetensors"))
    let length = try #require(try file.read(upToCount: 8)).enumerated().reduce(0) { $0 + Int($1.1) << (8 * $1.0) }
    let stored = Int(try file.seekToEnd()) - 8 - length
    let counted = try #require(try weights([folder]))
    // A quant_map of each matrix, and what bitsandbytes says of it in JSON, are counted with it.
    if isKept { #expect(counted == stored) } else { #expect(counted > stored * 6 / 5) }
    guard profile != "quern" else {
      let refused = try Quern.run(["memory", kjv.string, "--recipe", recipe])
      #expect(refused.status == 2 && refused.errors.contains("--profile transformers"))
      return
    }
    // The same is said before it is written.
    #expect(try weights([kjv.string, "--recipe", recipe]) == counted)
  }

  @Test(
    "unknown names are refused with the nearest",
    arguments: [
      (["memory", "lama-2-7b"], "llama-2-7b"), (["memory", "vgg61"], "vgg16"),
      (["memory", "llama-2-7b", "--device", "rtx 3061"], "RTX 3060"),
      (["memory", "llama-2-7b", "--profile", "vlm"], "vllm"), (["memory", "llama-2-7b", "--recipe", "q4"], "q4_0"),
      (["memory", "llama-2-7b", "--weights", "awq"], "awq-int4"), (["memory", "llama-2-7b", "--kv", "q9"], "f16"),
      (["memory", "llama-2-7b", "--profile", "llama.cpp", "--kv", "q9"], "q8_0"),
      (["memory", "llama-2-7b", "--kv", "q5_0"], "Q8_0"), (["memory", "llama-2-7b", "--train", "adamw"], "adam"),
      (["devices", "H1000"], "H100"), (["fit", "llama-2-7b", "--profile", "vllm", "--vram", "8GB"], "llama.cpp"),
      (["memory", "llama-2-7b", "--vram", "6"], "6GB"), (["memory", "llama-2-7b", "--vram", "-6GB"], "'-6GB'"),
      (["memory", "llama-2-7b", "--context", "-5"], "impossible"), (["memory", "llama-2-7b", "--batch", "0"], "1 to"),
      (["memory", "llama-2-7b", "--lora", "16"], "--train adam"),
      (["memory", "llama-2-7b", "--train", "adam", "--nf4"], "--lora"),
      (["memory", "vgg16", "--recipe", "q4_0"], "image network"),
      (["memory", "llama-2-7b", "--gpu-layers", "5"], "llama.cpp"),
      (["memory", "llama-2-7b", "--profile", "transformers", "--recipe", "q4_0"], "awq-int4"),
      (["memory", "llama-2-7b", "--weights", "nf4"], "GGUF's types"),
      (["memory", "llama-2-7b", "--profile", "vllm", "--kv", "q4_0"], "F8_E4M3"),
      (["memory", "llama-2-7b", "--profile", "llama.cpp", "--kv", "q4_0", "--flash-attention", "off"], "F16"),
      (["memory", "llama-2-7b", "--device", "CPU DDR4-3200 2ch"], "--vram"),
    ])
  func refused(arguments: [String], nearest: String) throws {
    try expectFailure(arguments, status: 2, words: [nearest])
  }

  @Test("a directory without weights is described by its configuration; without one it is an error")
  func withoutWeights() throws {
    let scratch = Scratch()
    let configuration = """
      {"model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30, "num_attention_heads": 9, "vocab_size": 49152,
       "num_key_value_heads": 3, "intermediate_size": 1536, "tie_word_embeddings": true}
      """
    try expectFailure(["memory", scratch.path.string], status: 4, words: ["empty"])
    let file = try scratch.write(Array("no json at all".utf8), to: "config.json")
    try expectFailure(["memory", file.string], status: 4, words: ["no json at all"])
    _ = try scratch.write(Array(configuration.utf8), to: "config.json")
    let json = try Quern.run(["memory", scratch.path.string, "--json"]).json()
    #expect(json["parameterCount"]?.int == 134_515_008)
  }

  @Test("a host's memory is the user's to say")
  func hosts() throws {
    let json = try Quern.run([
      "memory", "llama-2-7b", "--recipe", "q4_0", "--device", "EPYC 12ch DDR5-4800", "--vram", "64GB", "--json",
    ]).json()
    let device = try #require(json["devices"]?.array?.first)
    #expect(json["devices"]?.array?.count == 1 && device["memoryBytes"]?.int == 64_000_000_000)
    #expect(device["tokensPerSecond"]?.double ?? 0 > 20)
  }

  @Test(
    "what is printed fits the terminal", arguments: [60, 80, 200],
    [
      ["memory", "mixtral-8x7b", "--profile", "llama-server", "--recipe", "q4_k_m", "--device", "all", "--explain"],
      ["memory", "llama-2-7b", "--train", "adam", "--lora", "16", "--nf4", "--plot", "--explain"],
      ["memory", "llama-2-7b", "--device", "RTX 3060", "--device", "A100", "--plot", "--against", "bits"],
      ["fit", "llama-2-7b", "--device", "RTX 3060", "--profile", "llama.cpp", "--dry-run", "--recipes"],
    ])
  func width(columns: Int, arguments: [String]) throws {
    let outcome = try Quern.run(arguments, environment: ["COLUMNS": "\(columns)"])
    #expect(outcome.status == 0, "\(outcome.errors)")
    for line in outcome.output.split(separator: "\n") { #expect(line.count <= columns, "\(line)") }
  }

  @Test("a small server has to read half a model from the host's memory: slower, and it says so")
  func divided() throws {
    let json = try Quern.run([
      "memory", "llama-2-70b", "--profile", "llama.cpp", "--recipe", "q4_0", "--device", "RTX 4090", "--json",
    ]).json()
    let split = try #require(json["devices"]?.array?.first?["split"])
    let gpuLayers = try #require(split["gpuLayers"]?.int)
    let again = try Quern.run([
      "memory", "llama-2-70b", "--profile", "llama.cpp", "--recipe", "q4_0", "--device", "RTX 4090", "--gpu-layers",
      "\(gpuLayers)", "--json",
    ]).json()
    #expect(again["totalBytes"]?.int == split["deviceBytes"]?.int)
    #expect(again["hostBytes"]?.int == split["hostBytes"]?.int)
    #expect(again["devices"]?.array?.first?["fits"]?.bool == true)
    #expect(again["devices"]?.array?.first?["bottleneck"]?.string?.text == "the host's memory bandwidth")
  }

  @Test("units: decimal and binary sizes are told apart")
  func units() throws {
    for (size, bytes) in [("6GB", 6_000_000_000), ("6GiB", 6_442_450_944), ("512MiB", 536_870_912)] {
      let json = try Quern.run(["memory", "chatglm2-6b", "--vram", size, "--json"]).json()
      #expect(json["devices"]?.array?.first?["memoryBytes"]?.int == bytes)
    }
  }

  @Test(
    "6 GB of ChatGLM: INT4, a cache of 458,752 bytes a token against 28,672",
    arguments: [
      ("chatglm-6b", 1024, 458_752, true), ("chatglm-6b", 2048, 458_752, false), ("chatglm2-6b", 8192, 28_672, true),
    ])
  func sixGigabytes(model: String, context: Int, perToken: Int, fits: Bool) throws {
    let json = try Quern.run([
      "memory", model, "--profile", "chatglm", "--weights", "row-int4", "--context", "\(context)", "--prompt",
      "\(min(context, 64))",
      "--vram", "6GiB", "--json",
    ]).json()
    #expect(json["kvCacheBytes"]?.int == perToken * context)
    #expect(json["devices"]?.array?.first?["fits"]?.bool == fits, "\(json["totalBytes"]?.int ?? 0)")
  }

  /// A GGUF header of a Llama in F16, and the length that the whole file has.
  private static func header(layers: Int, width: Int, feedForward: Int, vocabulary: Int) -> ([UInt8], Int) {
    func number(_ value: some FixedWidthInteger) -> [UInt8] {
      (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    func text(_ value: String) -> [UInt8] { number(UInt64(value.utf8.count)) + Array(value.utf8) }
    let numbers = [
      ("block_count", layers), ("embedding_length", width), ("feed_forward_length", feedForward),
      ("context_length", 8192), ("vocab_size", vocabulary), ("attention.head_count", 64),
      ("attention.head_count_kv", 8),
    ]
    var tensors = [("token_embd.weight", [width, vocabulary]), ("output.weight", [width, vocabulary])]
    tensors.append(("output_norm.weight", [width]))
    for layer in 0..<layers {
      for (name, shape) in [
        ("attn_norm", [width]), ("ffn_norm", [width]), ("attn_q", [width, width]), ("attn_k", [width, width / 8]),
        ("attn_v", [width, width / 8]), ("attn_output", [width, width]), ("ffn_gate", [width, feedForward]),
        ("ffn_up", [width, feedForward]), ("ffn_down", [feedForward, width]),
      ] { tensors.append(("blk.\(layer).\(name).weight", shape)) }
    }
    var bytes =
      Array("GGUF".utf8) + number(UInt32(3)) + number(UInt64(tensors.count)) + number(UInt64(numbers.count + 2))
    bytes += text("general.architecture") + number(UInt32(8)) + text("llama")
    bytes += text("llama.attention.layer_norm_rms_epsilon") + number(UInt32(6)) + number(Float(1e-5).bitPattern)
    for (key, value) in numbers { bytes += text("llama.\(key)") + number(UInt32(4)) + number(UInt32(value)) }
    var offset = 0
    for (name, shape) in tensors {
      bytes += text(name) + number(UInt32(shape.count)) + shape.flatMap { number(UInt64($0)) }
      // F32 vectors, F16 matrices.
      bytes += number(UInt32(shape.count == 1 ? 0 : 1)) + number(UInt64(offset))
      offset += (shape.reduce(1, *) * (shape.count == 1 ? 4 : 2) + 31) / 32 * 32
    }
    bytes += [UInt8](repeating: 0, count: (32 - bytes.count % 32) % 32)
    return (bytes, bytes.count + offset)
  }

  @Test("a sparse file of 100 GB: half a second, 50 MB")
  func huge() throws {
    let scratch = Scratch()
    let (header, byteCount) = Self.header(layers: 60, width: 8192, feedForward: 28672, vocabulary: 32000)
    #expect(byteCount > 100_000_000_000)
    let path = try scratch.write(header, to: "huge.gguf")
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path.string))
    try handle.truncate(atOffset: UInt64(byteCount))
    try handle.close()
    let start = Date()
    let outcome = try Quern.run(
      ["memory", path.string, "--json"], shell: #"ulimit -v 400000; exec "$@""#)
    let seconds = -start.timeIntervalSinceNow
    let json = try outcome.json()
    #expect(json["weightsBytes"]?.int ?? 0 > 100_000_000_000)
    // Measured 0.1 s and 17 MB; the rest is for a busy machine.
    #expect(seconds < 5, "\(seconds) s")
  }
}
