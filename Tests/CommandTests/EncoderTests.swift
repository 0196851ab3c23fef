import Bytes
import ContainerTesting
import SystemPackage
import Testing

/// What the commands make of an encoder: a tiny BERT of random weights with a WordPiece tokenizer of letters.
@Suite struct EncoderTests {
  private let model: TestModel

  init() throws {
    model = try TestModel("bert")
    try model.write(Array(Self.tokenizer.utf8), to: "tokenizer.json")
  }

  private static let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

  /// One token for each letter, alone and as a continuation.
  private static let tokenizer: String = {
    let letters = (0..<26).map { String(UnicodeScalar(UInt8(97 + $0))) }
    let tokens = special + letters + letters.map { "##" + $0 }
    let vocabulary = tokens.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    let added = special.enumerated().map { id, content in
      #"{"id": \#(id), "content": "\#(content)", "single_word": false, "lstrip": false, "rstrip": false, "#
        + #""normalized": false, "special": true}"#
    }
    return #"""
      {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [\#(added.joined(separator: ", "))],
      "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
      "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
      {"SpecialToken": {"id": "[SEP]", "type_id": 0}}], "pair": [], "special_tokens": {
      "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
      "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true}, "model": {"type": "WordPiece",
      "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {\#(vocabulary)}}}
      """#
  }()

  private func vectors(_ output: String) throws -> [[Double]] {
    try output.split(separator: "\n").map { line in
      try #require(try JSONValue.parse(Array(line.utf8)).array).compactMap(\.double)
    }
  }

  @Test("a vector for each text, whatever stands beside it; cut to the model's positions; .npy holds the same")
  func embed() throws {
    let lines = ["abc", "a longer text of some words", String(repeating: "x ", count: 500), "abc"]
    let file = try model.scratch.write(Array((lines.joined(separator: "\n") + "\n").utf8), to: "lines.txt")
    for pooling in ["mean", "cls"] {
      let options = [model.path.string, "--pooling", pooling, "--normalize"]
      let outcome = try Quern.run(["embed"] + options + ["--file", file.string])
      #expect(outcome.status == 0, "\(outcome.errors)")
      let found = try vectors(outcome.output)
      #expect(found.count == 4 && found.allSatisfy { $0.count == 64 })
      #expect(found[0] == found[3] && found[0] != found[1])
      for vector in found { #expect(abs(vector.reduce(0) { $0 + $1 * $1 } - 1) < 1e-5) }
      #expect(try vectors(try Quern.run(["embed"] + options + ["abc"]).output) == [found[0]])
      let array = model.scratch.path.appending("\(pooling).npy")
      let written = try Quern.run(["embed"] + options + ["--file", file.string, "-o", array.string, "--json"])
      #expect(try written.json()["shape"]?.array?.compactMap(\.int) == [4, 64])
      let bytes = try InputFile.contents(of: array, limit: 1 << 20)
      #expect(bytes.count % 64 == 0 && bytes.count == 128 + 4 * 64 * 4)
      let first = bytes[128..<132].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
      #expect(Double(Float(bitPattern: first).description) == found[0][0])
    }
  }

  @Test("gaps are filled with the likeliest tokens")
  func fillMask() throws {
    let json = try JSONTests.check(
      ["fill-mask", model.path.string, "ab [MASK] c [MASK]", "--top", "3"],
      has: ["gaps.position", "gaps.tokens.id", "gaps.tokens.token", "gaps.tokens.probability"])
    let gaps = try #require(json["gaps"]?.array)
    #expect(gaps.compactMap { $0["position"]?.int } == [3, 5])
    for gap in gaps {
      let probabilities = try #require(gap["tokens"]?.array).compactMap { $0["probability"]?.double }
      #expect(probabilities.count == 3 && probabilities == probabilities.sorted(by: >))
      #expect(probabilities.reduce(0, +) <= 1 && probabilities[2] > 0)
    }
    try expectFailure(["fill-mask", model.path.string, "no gap"], status: 2, words: ["no gap", "[MASK]"])
  }

  @Test("an encoder is compared by embeddings and masked tokens; int8 is close, another model is not")
  func verify() throws {
    let text = try model.scratch.write(Array("a b c d e f g h\n\ni j k l m n o p q r s\n".utf8), to: "text.txt")
    let small = model.scratch.path.appending("small.gguf")
    #expect(try Quern.run(["quantize", model.path.string, "-o", small.string, "--recipe", "q8_0"]).status == 0)
    let keys = ["sequences", "cosine.mean", "cosine.worst", "maskedTokens", "kld.mean", "topTokenAgreement", "passed"]
    let same = try JSONTests.check(
      ["verify", model.path.string, model.path.string, "--text", text.string, "--min-cosine", "1", "--max-kld", "0"],
      has: keys)
    #expect(same["sequences"]?.int == 2 && same["maskedTokens"]?.int == 3)
    let packed = try JSONTests.check(
      ["verify", model.path.string, small.string, "--text", text.string, "--min-cosine", "0.999"], has: keys)
    #expect(try #require(packed["kld"]?["mean"]?.double) > 0)
    let strict = try Quern.run(
      ["verify", model.path.string, small.string, "--text", text.string, "--min-cosine", "0.99999999"])
    #expect(strict.status == 3 && strict.errors.contains("--min-cosine"))
  }

  @Test("commands for the other kind of model say which one is meant")
  func kinds() throws {
    try expectFailure(["run", model.path.string, "-p", "a"], status: 2, words: ["quern embed"])
    try expectFailure(["bench", model.path.string], status: 2, words: ["quern embed"])
    try expectFailure(["bench", model.path.string, "--kv", "q8_0"], status: 2, words: ["--kv"])
    try expectFailure(
      ["verify", model.path.string, model.path.string, "--text", model.path.string, "--kv", "q8_0"], status: 2,
      words: ["--kv"])
    try expectFailure(["embed", kjv.string, "a"], status: 2, words: ["quern run"])
    try expectFailure(["embed", model.path.string, "a", "--pooling", "pooler"], status: 2, words: ["no pooler"])
    try expectFailure(["embed", model.path.string], status: 2, words: ["--file"])
  }
}
