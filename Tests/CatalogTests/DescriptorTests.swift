import Bytes
import Catalog
import IR
import Testing

@Suite struct DescriptorTests {
  @Test("every descriptor under Formats parses, and no name stands for two families")
  func all() throws {
    let architectures = try Catalog().architectures()
    #expect(!architectures.isEmpty)
    #expect(architectures.count == FormatFiles.all(in: "Architectures/").count)
    let families = architectures.map(\.family)
    #expect(Set(families).count == families.count, "\(families)")
  }

  @Test("every tensor of every descriptor has a shape once the hyperparameters are known", arguments: [0, 1])
  func shapes(tied: Int) throws {
    let architecture = try llama()
    let values = try hyperparameters(#""tie_word_embeddings": \#(tied == 1), "attention_bias": true, "mlp_bias": true"#)
    let instances = architecture.instances(in: values)
    let expected = architecture.tensors.filter { $0.exists(in: values) }.reduce(0) { $0 + ($1.name.isPerLayer ? 2 : 1) }
    #expect(instances.count == expected)
    #expect(Set(instances.map(\.name)).count == expected)
    #expect(instances.contains { $0.name == "output.weight" } == (tied == 0))
    #expect(instances.contains { $0.name == "blk.1.attn_q.bias" })
  }

  @Test(
    "a descriptor with a mistake names file and key",
    arguments: [
      ("{}", "family"), ("[]", "object"), (#"{"family": "x"}"#, "describes"),
      (#"{"family": "x", "describes": "y"}"#, "huggingFace"),
      (#"{"family": "x", "describes": "y", "huggingFace": {}}"#, "graph"),
      (#"{"family": "x", "describes": "y", "huggingFace": {}, "graph": {"normalization": "batch"}}"#, "normalization"),
    ])
  func mistakes(text: String, key: String) {
    #expect(throws: DescriptorError.invalid(file: "x.json", key: key)) {
      try ArchitectureDescriptor(parsing: Array(text.utf8), file: "x.json")
    }
  }

  @Test(
    "families are found by model_type, then by architectures",
    arguments: [
      (#"{"model_type": "llama"}"#, "llama"), (#"{"model_type": "mistral"}"#, "llama"),
      (#"{"architectures": ["MistralForCausalLM"]}"#, "llama"),
      (#"{"model_type": "renamed", "architectures": ["Other", "LlamaForCausalLM"]}"#, "llama"),
    ])
  func recognised(text: String, family: String) throws {
    #expect(try Catalog().architecture(configuration: try configuration(text)).family == family)
  }

  @Test(
    "an unknown family is named, and the known ones listed",
    arguments: [
      (#"{"model_type": "zebra"}"#, "zebra"), (#"{"architectures": ["ZebraForCausalLM"]}"#, "ZebraForCausalLM"),
      ("{}", "(none named)"), (#"{"model_type": 7}"#, "(none named)"),
    ])
  func unknown(text: String, found: String) throws {
    let catalog = try Catalog()
    let error = #expect(throws: CatalogError.self) { try catalog.architecture(configuration: try configuration(text)) }
    let message = "\(try #require(error))"
    #expect(message.contains("'\(found)'"))
    for type in try catalog.architectures().flatMap(\.modelTypes) { #expect(message.contains(type)) }
    let other = #expect(throws: CatalogError.self) {
      var metadata = Metadata()
      metadata["general.architecture"] = .string("zebra")
      return try catalog.architecture(gguf: metadata)
    }
    #expect("\(try #require(other))".contains("known are: "))
    #expect("\(try #require(other))".contains("llama"))
  }
}

@Suite struct ExpressionTests {
  @Test(
    "integer arithmetic over names",
    arguments: [
      ("7", 7), ("a", 6), ("a + b", 10), ("a - b * 2", -2), ("(a - b) * 2", 4), ("a / b", 1), ("a.c * 2", 200),
      ("2 * (a + (b / 2)) - 1", 15), ("a*b*2", 48), ("12 / 3 / 2", 2), ("a > b", 1), ("a <= b", 0),
      ("a == 6 & b != 4", 0), ("a == 6 | b != 4", 1), ("a % b", 2),
      ("a - 2 >= b", 1), ("(a < b) + 1", 1), ("a & missing", nil),
    ] as [(String, Int?)])
  func values(text: String, value: Int?) throws {
    let names = ["a": 6, "b": 4, "a.c": 100]
    #expect(try #require(Expression(text)).value { names[$0] } == value)
  }

  @Test(
    "what has no value is nil, never a trap",
    arguments: ["missing", "a / zero", "big * big", "big + big", "0 - big - big", "least / (0 - 1)", "a * missing"])
  func noValue(text: String) throws {
    let names = ["a": 6, "zero": 0, "big": Int.max, "least": Int.min]
    #expect(try #require(Expression(text)).value { names[$0] } == nil)
  }

  @Test(
    "what is no expression",
    arguments: ["", "a +", "* a", "(a", "a)", "a b +", "a + + b", "99999999999999999999", "a ^ b", "()"])
  func malformed(text: String) { #expect(Expression(text) == nil) }
}

@Suite struct NamePatternTests {
  @Test(
    "patterns match whole names with a decimal layer",
    arguments: [
      ("blk.{layer}.q", "blk.0.q", true), ("blk.{layer}.q", "blk.123.q", true), ("blk.{layer}.q", "blk..q", false),
      ("blk.{layer}.q", "blk.1a.q", false), ("blk.{layer}.q", "blk.1.qq", false), ("blk.{layer}.q", "xblk.1.q", false),
      ("blk.{layer}.q", "blk.-1.q", false), ("blk.{layer}.q", "blk.q", false), ("plain", "plain", true),
      ("plain", "plain2", false), ("{layer}", "12", true), ("{layer}", "", false),
    ])
  func matching(pattern: String, name: String, matches: Bool) {
    #expect(NamePattern(pattern).matches(ByteString(name)) == matches)
  }

  @Test func names() {
    #expect(NamePattern("blk.{layer}.q").name(layer: 12) == "blk.12.q")
    #expect(NamePattern("plain").name(layer: 12) == "plain")
    #expect(NamePattern("blk.{layer}.q").isPerLayer && !NamePattern("plain").isPerLayer)
  }
}
