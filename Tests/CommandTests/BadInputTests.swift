import Bytes
import ContainerTesting
import Glibc
import SystemPackage
import Testing

/// A way to damage a model, and what must be said about it.
struct Damage: Sendable, CustomTestStringConvertible {
  let name: String
  /// Words of the message: file, tensor or key, and the trouble.
  let words: [String]
  var lines = 1
  var status: Int32 = 4
  let damage: @Sendable (TestModel) throws -> Void

  var testDescription: String { name }

  static let tensor = "model.layers.1.mlp.up_proj.weight"

  static let all: [Damage] = [
    .init(name: "truncated data", words: ["model.safetensors"]) { try $0.truncate("model.safetensors", to: 0.9) },
    .init(name: "truncated header", words: ["model.safetensors"]) { try $0.truncate("model.safetensors", to: 0.001) },
    .init(name: "empty file", words: ["model.safetensors"]) { try $0.write([], to: "model.safetensors") },
    .init(name: "header longer than the file", words: ["model.safetensors", "header"]) { model in
      let bytes = try model.read("model.safetensors")
      try model.write([0, 0, 0xF0, 0, 0, 0, 0, 0] + bytes.dropFirst(8), to: "model.safetensors")
    },
    .init(name: "header of 2^63 bytes", words: ["model.safetensors", "header"]) { model in
      let bytes = try model.read("model.safetensors")
      try model.write([0, 0, 0, 0, 0, 0, 0, 0x80] + bytes.dropFirst(8), to: "model.safetensors")
    },
    .init(name: "overlapping tensors", words: ["model.safetensors", tensor]) { model in
      let entry = try model.headerEntry(tensor)
      let offsets = try #require(entry.firstRange(of: "\"data_offsets\":["))
      try model.editHeader(entry, entry[..<offsets.upperBound] + "0,20480]}")
    },
    .init(name: "tensor out of range", words: ["model.safetensors", tensor]) { model in
      let entry = try model.headerEntry(tensor)
      let offsets = try #require(entry.firstRange(of: "\"data_offsets\":["))
      try model.editHeader(entry, entry[..<offsets.upperBound] + "900000,920480]}")
    },
    .init(name: "negative offset", words: ["model.safetensors"]) { model in
      let entry = try model.headerEntry(tensor)
      let offsets = try #require(entry.firstRange(of: "\"data_offsets\":["))
      try model.editHeader(entry, entry[..<offsets.upperBound] + "-20480,0]}")
    },
    .init(name: "shape of another size", words: ["model.safetensors", tensor]) { model in
      let entry = try model.headerEntry(tensor)
      try model.editHeader(entry, entry.replacing("[160,64]", with: "[160,65]"))
    },
    .init(name: "unknown dtype", words: ["model.safetensors", tensor, "F7"]) { model in
      let entry = try model.headerEntry(tensor)
      try model.editHeader(entry, entry.replacing("BF16", with: "F7"))
    },
    .init(name: "the same tensor twice", words: ["model.safetensors", tensor]) { model in
      let entry = try model.headerEntry(tensor)
      try model.editHeader(entry, entry + "," + entry)
    },
    .init(name: "tensor missing", words: ["model.safetensors", tensor, "missing", "\(tensor)2", "not part"], lines: 2) {
      try $0.editHeader(tensor, tensor + "2")
    },
    .init(name: "tensor left over", words: ["lm_head.weight", "not part"]) { model in
      try model.edit("config.json", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true")
      try model.editHeader("lm_head.weight", "other.lm_head.weight")
    },
    .init(name: "wrong shapes for the configuration", words: ["up_proj", "[160, 64]", "[192, 64]"], lines: 9) {
      try $0.edit("config.json", "\"intermediate_size\": 160", "\"intermediate_size\": 192")
    },
    .init(name: "a layer too few", words: ["model.layers.2", "not part"], lines: 9) {
      try $0.edit("config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2")
    },
    .init(name: "duplicate key in config.json", words: ["config.json", "hidden_size"]) {
      try $0.edit("config.json", "\"hidden_size\": 64", "\"hidden_size\": 64, \"hidden_size\": 64")
    },
    .init(name: "config.json is cut", words: ["config.json"]) { try $0.truncate("config.json", to: 0.5) },
    .init(name: "config.json is empty", words: ["config.json"]) { try $0.write([], to: "config.json") },
    .init(name: "config.json is an array", words: ["config.json"]) {
      try $0.write(Array("[1]".utf8), to: "config.json")
    },
    .init(name: "no weights", words: ["model", "safetensors"]) { $0.remove("model.safetensors") },
    .init(name: "a value of another type", words: ["config.json", "hidden_size"]) {
      try $0.edit("config.json", "\"hidden_size\": 64", "\"hidden_size\": \"64\"")
    },
    .init(name: "a value missing", words: ["config.json", "num_hidden_layers"]) {
      try $0.edit("config.json", "\"num_hidden_layers\"", "\"num_layers\"")
    },
    .init(name: "an absurd number of layers", words: ["config.json", "num_hidden_layers"]) {
      try $0.edit("config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 3000000000")
    },
    .init(name: "no heads", words: ["config.json", "num_attention_heads = 0"]) {
      try $0.edit("config.json", "\"num_attention_heads\": 4", "\"num_attention_heads\": 0")
    },
    .init(name: "heads of odd length", words: ["config.json", "head_dim = 15"]) {
      try $0.edit("config.json", "\"head_dim\": 16", "\"head_dim\": 15")
    },
    .init(name: "a damaged tokenizer.json", words: ["tokenizer.json"]) {
      try $0.write(Array("{\"model\": {\"type\": \"BPE\"".utf8), to: "tokenizer.json")
    },
    .init(name: "a tokenizer of an unknown kind", words: ["tokenizer.json"]) {
      try $0.write(Array("{\"model\": {\"type\": \"Magic\"}}".utf8), to: "tokenizer.json")
    },
    .init(name: "deeply nested config.json", words: ["config.json"]) {
      try $0.write(Array((String(repeating: "{\"a\":", count: 100_000)).utf8), to: "config.json")
    },
  ]
}

@Suite struct BadInputTests {
  @Test("a damaged model is refused with one message, and nothing is written", arguments: Damage.all)
  func damaged(row: Damage) throws {
    let model = try TestModel()
    try row.damage(model)
    for command in [
      ["inspect", model.path.string],
      ["quantize", model.path.string, "-o", model.scratch.path.appending("out.gguf").string],
      ["convert", model.path.string, "-o", model.scratch.path.appending("out").string],
    ] {
      try expectFailure(command, status: row.status, words: row.words, lines: row.lines, keeping: model.scratch.path)
    }
  }

  @Test(
    "without a family tensors are listed and converted under their own names, and nothing else",
    arguments: [true, false])
  func noFamily(isNamed: Bool) throws {
    let model = try TestModel()
    if isNamed {
      try model.edit("config.json", "\"model_type\": \"llama\"", "\"model_type\": \"zebra\"")
      try model.edit("config.json", "LlamaForCausalLM", "ZebraForCausalLM")
    } else {
      model.remove("config.json")
    }
    let words = isNamed ? ["config.json", "zebra", "llama", "mistral"] : ["config.json"]
    let gguf = model.scratch.path.appending("out.gguf").string
    try expectFailure(
      ["quantize", model.path.string, "-o", gguf], status: 4, words: words, keeping: model.scratch.path)
    try expectFailure(["convert", model.path.string, "-o", gguf], status: 4, words: words, keeping: model.scratch.path)
    let inspected = try Quern.run(["inspect", model.path.string, "--json"])
    #expect(inspected.status == 0)
    #expect(try inspected.json()["architecture"]?.isNull == true)
    #expect(try inspected.json()["tensors"]?.array?.first?["name"]?.string != nil)
    let out = model.scratch.path.appending("out")
    let converted = try Quern.run(["convert", model.path.string, "-o", out.string])
    #expect(converted.status == 0 && converted.errors.contains("no family"))
    let compared = try Quern.run(["diff", model.path.string, out.string, "--json"])
    #expect(try compared.json()["equal"]?.bool == true)
  }

  @Test("a shard that is missing is named")
  func missingShard() throws {
    let model = try TestModel()
    let split = model.scratch.path.appending("split")
    #expect(try Quern.run(["convert", kjv.string, "-o", split.string, "--max-shard-size", "5MB"]).status == 0)
    let shard = try #require(FileSystem.names(in: split).last { $0.hasSuffix(".safetensors") })
    unsafe _ = unlink(split.appending(shard).string)
    try expectFailure(["inspect", split.string], status: 4, words: [shard], keeping: split)
    let parts = model.scratch.path.appending("parts.gguf")
    #expect(try Quern.run(["convert", kjv.string, "-o", parts.string, "--max-shard-size", "5MB"]).status == 0)
    let names = FileSystem.names(in: model.scratch.path).filter { $0.hasPrefix("parts-") }
    #expect(names.count == 3)
    unsafe _ = unlink(model.scratch.path.appending(names[1]).string)
    try expectFailure(
      ["inspect", model.scratch.path.appending(names[0]).string], status: 4, words: ["00002-of-00003"], keeping: split)
  }

  @Test("a GGUF cut anywhere is refused", arguments: [0.0, 0.00001, 0.001, 0.05, 0.5, 0.999])
  func truncatedGGUF(share: Double) throws {
    let model = try TestModel()
    let whole = model.scratch.path.appending("whole.gguf")
    #expect(try Quern.run(["convert", model.path.string, "-o", whole.string]).status == 0)
    let bytes = try InputFile.contents(of: whole, limit: 1 << 30)
    _ = try model.scratch.write(Array(bytes.prefix(Int(Double(bytes.count) * share))), to: "cut.gguf")
    let cut = model.scratch.path.appending("cut.gguf").string
    try expectFailure(["inspect", cut], status: 4, words: ["cut.gguf"])
    let out = model.scratch.path.appending("out.gguf").string
    try expectFailure(["quantize", cut, "-o", out], status: 4, words: ["cut.gguf"], keeping: model.scratch.path)
  }

  @Test(
    "what is no model is refused, saying what it is",
    arguments: [
      ("eval.txt", 4, "neither GGUF nor safetensors"), ("train.py", 4, "neither GGUF nor safetensors"),
      ("tokenizer.json", 4, "family"), ("nothing-here", 1, "No such file"),
    ] as [(String, Int32, String)])
  func notAModel(name: String, status: Int32, words: String) throws {
    try expectFailure(["inspect", kjv.appending(name).string], status: status, words: [name, words])
  }

  @Test("an empty directory, and one without a model, say what was looked for")
  func directories() throws {
    let scratch = Scratch()
    try expectFailure(["inspect", scratch.path.string], status: 4, words: ["model.safetensors", "empty"])
    _ = try scratch.write([1], to: "notes.txt")
    try expectFailure(["inspect", scratch.path.string], status: 4, words: ["model.safetensors", "notes.txt"])
    try expectFailure(["inspect", "/dev/null"], status: 4, words: ["/dev/null", "regular file"])
  }

  @Test(
    "a configuration alone says so where weights are needed",
    arguments: ["run", "verify", "convert", "bench", "logits"])
  func configurationAlone(command: String) throws {
    let model = try TestModel()
    model.remove("model.safetensors")
    let config = model.path.appending("config.json").string
    let rest: [String] =
      switch command {
      case "run": ["-p", "x"]
      case "verify": ["--text", kjv.appending("eval.txt").string]
      case "convert": ["-o", model.scratch.path.appending("o.gguf").string]
      case "logits":
        [
          "--ids", fixtures.appending("conformance/llama/golden.safetensors").string, "-o",
          model.scratch.path.appending("o").string,
        ]
      default: []
      }
    try expectFailure([command, config] + rest, status: 4, words: ["config.json"], keeping: model.scratch.path)
  }
}
