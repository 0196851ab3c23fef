import Bytes
import ContainerTesting
import SystemPackage
import Testing

/// The keys that scripts rely on.
@Suite struct JSONTests {
  /// Runs a command with --json and checks that its object has each of `paths`; `tensors.name` looks into the first row.
  static func check(_ arguments: [String], has paths: [String], sourceLocation: SourceLocation = #_sourceLocation)
    throws -> JSONObject
  {
    let outcome = try Quern.run(arguments + ["--json"])
    #expect(outcome.status == 0, "\(outcome.errors)", sourceLocation: sourceLocation)
    let object = try outcome.json()
    for path in paths {
      var value: JSONValue? = .object(object)
      for key in path.split(separator: ".") {
        if let rows = value?.array { value = rows.first }
        value = value?[ByteString(String(key))]
      }
      #expect(value != nil, "'\(path)' of quern \(arguments[0]) --json", sourceLocation: sourceLocation)
    }
    return object
  }

  @Test func inspect() throws {
    let json = try Self.check(
      ["inspect", kjv.string],
      has: [
        "architecture", "parameterCount", "tensorCount", "container", "fileBytes", "encodings.BF16",
        "hyperparameters.block_count",
        "tokenizer.kind", "tokenizer.vocabularySize", "tensors.name", "tensors.sourceName", "tensors.shape",
        "tensors.type",
        "tensors.byteCount",
      ])
    #expect(json["architecture"]?.string == "llama" && json["container"]?.string == "safetensors")
    #expect(json["tensorCount"]?.int == json["tensors"]?.array?.count)
    #expect(json["parameterCount"]?.int == 6_819_072)
    _ = try Self.check(
      ["inspect", kjv.appending("config.json").string], has: ["architecture", "parameterCount", "tensors.shape"])
  }

  @Test func quantizeAndConvert() throws {
    let scratch = Scratch()
    let keys = [
      "output", "container", "fileBytes", "bitsPerWeight", "seconds", "peakResidentBytes", "tensors.name",
      "tensors.from",
      "tensors.to", "tensors.rmse", "report.consumed", "report.produced", "report.ignored", "report.missing",
      "report.unexpected",
    ]
    let target = scratch.path.appending("out.gguf")
    let json = try Self.check(["quantize", kjv.string, "-o", target.string, "--recipe", "q8_0"], has: keys)
    #expect(json["fileBytes"]?.int == FileSystem.byteCount(of: target))
    #expect(try #require(json["bitsPerWeight"]?.double) < 8.6)
    #expect(json["output"]?.string == ByteString(target.string))
    #expect(try #require(json["peakResidentBytes"]?.int) < 200_000_000)
    #expect(json["report"]?["missing"]?.array?.count == 0 && json["report"]?["unexpected"]?.array?.count == 0)
    _ = try Self.check(
      ["convert", target.string, "-o", scratch.path.appending("d").string, "--dtype", "f16"], has: keys)
    _ = try Self.check(
      ["quantize", kjv.string, "--dry-run"],
      has: [
        "tensorBytes", "bitsPerWeight", "tensors.name", "tensors.shape", "tensors.from", "tensors.to", "tensors.reason",
      ])
  }

  @Test func memory() throws {
    let keys = [
      "model", "context", "batch", "weightsBytes", "kvCacheBytes", "computeBytes", "overheadBytes", "gradientBytes",
      "optimizerBytes", "totalBytes", "items.name", "items.bytes", "items.formula", "devices",
    ]
    let json = try Self.check(["memory", kjv.string, "--context", "256"], has: keys)
    let parts = keys.filter { $0.hasSuffix("Bytes") && $0 != "totalBytes" }.compactMap { json[ByteString($0)]?.int }
    #expect(parts.reduce(0, +) == json["totalBytes"]?.int && json["context"]?.int == 256)
    let other = try Self.check(
      ["memory", kjv.appending("config.json").string, "--recipe", "int4", "--vram", "1GB"],
      has: keys + [
        "devices.name", "devices.memoryBytes", "devices.fits", "devices.headroomBytes", "devices.maxContext",
      ])
    #expect(try #require(other["weightsBytes"]?.int) < #require(json["weightsBytes"]?.int))
  }

  @Test func verify() throws {
    let scratch = Scratch()
    let target = scratch.path.appending("out.gguf").string
    #expect(try Quern.run(["quantize", kjv.string, "-o", target, "--recipe", "q4_0"]).status == 0)
    let text = ["--text", kjv.appending("eval.txt").string, "--context", "64", "--windows", "3"]
    let json = try Self.check(
      ["verify", kjv.string, target] + text,
      has: [
        "reference.perplexity", "candidate.perplexity", "perplexityRatio", "kld.mean", "kld.meanError", "kld.median",
        "kld.p90",
        "kld.p99", "kld.max", "topTokenAgreement", "tokens", "context", "layers", "tensors.name", "passed",
      ])
    #expect(json["passed"]?.bool == true && json["context"]?.int == 64 && json["tokens"]?.int == 3 * 31)
    #expect(try #require(json["kld"]?["mean"]?.double) > 0)
    #expect(json["layers"]?.array?.count == 6)
    _ = try Self.check(["verify", kjv.string] + text, has: ["reference.perplexity", "tokens", "context"])
    for (threshold, word) in [
      ("--max-kld=0.000001", "divergence"), ("--min-agreement=100%", "agree"), ("--max-ppl-increase=0", "perplexity"),
    ] {
      let outcome = try Quern.run(["verify", kjv.string, target, "--json", threshold] + text)
      // A candidate may be better than its reference by chance.
      guard word != "perplexity" || outcome.status != 0 else { continue }
      #expect(
        outcome.status == 3 && outcome.errors.contains(word) && outcome.errorLines.count == 1, "\(outcome.errors)")
      #expect(try outcome.json()["passed"]?.bool == false)
    }
    let met = try Quern.run(
      ["verify", kjv.string, target, "--max-kld", "5", "--min-agreement", "1%", "--max-ppl-increase", "500%"] + text)
    #expect(met.status == 0 && met.errors.isEmpty && met.output.contains("perplexity"))
    let same = try Self.check(
      ["verify", kjv.string, kjv.string, "--max-kld", "0", "--min-agreement", "100%"] + text, has: ["passed"])
    #expect(same["kld"]?["max"]?.double == 0 && same["perplexityRatio"]?.double == 1)
  }

  @Test("text that is none is refused by verify")
  func verifyTexts() throws {
    let scratch = Scratch()
    let empty = try scratch.write([], to: "empty.txt").string
    let binary = try scratch.write([0x41, 0xFF, 0xFE, 0x42], to: "binary.txt").string
    try expectFailure(["verify", kjv.string, "--text", empty], status: 2, words: ["empty.txt", "0 tokens"])
    try expectFailure(["verify", kjv.string, "--text", binary], status: 4, words: ["binary.txt", "UTF-8"])
    try expectFailure(
      ["verify", kjv.string, "--text", scratch.path.appending("none").string], status: 1, words: ["none", "No such"])
    let plain = fixtures.appending("conformance/llama").string
    try expectFailure(["verify", plain, "--text", empty], status: 4, words: ["llama", "tokenizer"])
    try expectFailure(["run", plain, "-p", "x"], status: 4, words: ["llama", "tokenizer"])
  }

  @Test func runAndTokenize() throws {
    let json = try Self.check(
      ["run", kjv.string, "-p", "In the beginning", "-n", "8"],
      has: ["text", "promptTokens", "tokens", "promptTokensPerSecond", "tokensPerSecond"])
    #expect(try #require(json["tokens"]?.array).count <= 8)
    let text = try Quern.run(["run", kjv.string, "-p", "In the beginning", "-n", "8"])
    let continuation = try #require(json["text"]?.string?.text)
    #expect(text.status == 0 && text.output == "In the beginning\(continuation)\n")
    let exact = try Self.check(
      ["run", kjv.string, "-p", "", "-n", "2", "--arithmetic", "exact", "--isa", "generic"], has: ["text"])
    #expect(exact["text"] != nil)
    let tokens = try Self.check(["tokenize", kjv.string, "In the beginning"], has: ["count", "ids", "tokens"])
    #expect(tokens["count"]?.int == tokens["ids"]?.array?.count)
    #expect(tokens["tokens"]?.array?.compactMap { $0.string?.text }.joined().hasSuffix("In the beginning") == true)
    #expect(try Quern.run(["tokenize", kjv.string, "", "--ids", "--no-special"]).output == "[]\n")
  }

  @Test func logits() throws {
    let scratch = Scratch()
    let folder = fixtures.appending("conformance/llama")
    let target = scratch.path.appending("l.safetensors").string
    let arguments = ["logits", folder.string, "--ids", folder.appending("golden.safetensors").string, "-o", target]
    let json = try Self.check(arguments, has: ["output", "shape"])
    #expect(json["shape"]?.array?.compactMap(\.int) == [2, 24, 320])
    try expectFailure(arguments, status: 1, words: ["l.safetensors", "--force"], keeping: scratch.path)
    #expect(try Quern.run(arguments + ["--force", "--isa", "generic", "--threads", "1"]).status == 0)
    try expectFailure(
      ["logits", folder.string, "--ids", folder.appending("model.safetensors").string, "-o", target + "2"], status: 4,
      words: ["model.safetensors", "input_ids"], keeping: scratch.path)
    try expectFailure(
      ["logits", folder.string, "--ids", folder.appending("config.json").string, "-o", target + "2"], status: 4,
      words: ["config.json"], keeping: scratch.path)
  }

  @Test func benchDiffAndTables() throws {
    _ = try Self.check(
      ["bench", kjv.string, "-p", "16", "-n", "4", "-r", "1"],
      has: [
        "model", "isa", "threads", "weightBytes", "promptTokens", "generatedTokens", "promptTokensPerSecond",
        "tokensPerSecond",
      ])
    let folder = fixtures.appending("conformance/llama").string
    let same = try Self.check(
      ["diff", folder, folder], has: ["equal", "tensors.name", "onlyInA", "onlyInB", "shapesDiffer"])
    #expect(same["equal"]?.bool == true)
    let other = try Self.check(
      ["diff", folder, fixtures.appending("conformance/mistral-sliding").string], has: ["hyperparametersDiffer"])
    #expect(other["equal"]?.bool == false)
    _ = try Self.check(["architectures"], has: ["architectures.family", "architectures.modelTypes"])
    _ = try Self.check(["recipes"], has: ["recipes.recipe", "recipes.describes"])
  }

  @Test("text output fits 80 columns", arguments: ["inspect", "memory", "recipes", "architectures", "diff"])
  func width(command: String) throws {
    let folder = fixtures.appending("conformance/llama").string
    let arguments =
      switch command {
      case "recipes", "architectures": [command]
      case "diff": [command, folder, fixtures.appending("conformance/mistral-sliding").string, "--all"]
      case "inspect": [command, ".", "--tensors"]
      default: [command, "."]
      }
    let outcome = try Quern.run(arguments, in: fixtures.appending("conformance/llama"))
    #expect(outcome.status == 0)
    for line in outcome.output.split(separator: "\n") { #expect(line.count <= 80 || line.contains("llama"), "\(line)") }
  }
}
