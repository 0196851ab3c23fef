import Bytes
import ContainerTesting
import Conversion
import ModelTesting
import Runtime
import Testing

/// What llama.cpp computes from the GGUF files that we write of the conformance cases (Fixtures/llama/answers.json, made
/// by Tests/Peers/check_llama.py), beside our own runtime.
@Suite struct LlamaAnswersTests {
  struct Answer: Sendable, CustomTestStringConvertible {
    let name: String
    /// llama.cpp loads the file.
    let isLoaded: Bool
    /// Its output is transformers'.
    let agrees: Bool
    /// Of every position: the most likely token, or the largest element of an encoder's state.
    let tops: [Int]
    /// The last position's first outputs.
    let last: [Float]
    /// Tokens that follow prompts, of a model quantized by a recipe.
    let recipe: String?
    let prompts: [[Int]]
    let continuations: [[Int]]

    var testDescription: String { name }

    init(_ json: JSONValue) {
      func lists(_ key: ByteString) -> [[Int]] { (json[key]?.array ?? []).map { ($0.array ?? []).compactMap(\.int) } }
      name = json["case"]?.string?.text ?? ""
      isLoaded = json["refused"] == nil
      agrees = json["agrees"]?.bool ?? false
      tops = (json["tops"]?.array ?? []).compactMap(\.int)
      last = (json["last"]?.array ?? []).compactMap { $0.double.map { Float($0) } }
      recipe = json["recipe"]?.string?.text
      prompts = lists("prompts")
      continuations = lists("tokens")
    }
  }

  static let answers: [Answer] = {
    let bytes = try? InputFile.contents(of: fixtures.appending("llama/answers.json"), limit: 1 << 22)
    return ((try? bytes.map { try JSONValue.parse($0) })?.array ?? []).map { Answer($0) }
  }()

  private func written(_ answer: Answer, _ scratch: Scratch) throws -> OpenedModel {
    let path = scratch.path.appending("\(answer.name).gguf")
    return try openCase(answer.name).converted(to: .gguf, at: path, recipe: answer.recipe ?? "f32")
  }

  @Test("our answers are llama.cpp's", arguments: answers.filter { $0.agrees })
  func same(answer: Answer) throws {
    let golden = try Golden(answer.name)
    let scratch = Scratch()
    let rows = try states(try written(answer, scratch), golden)
    #expect(rows.count == answer.tops.count)
    let mean = answer.last.reduce(0, +) / Float(answer.last.count)
    let spread = (answer.last.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(answer.last.count)).squareRoot()
    #expect(rows.map { row in row.indices.max { row[$0] < row[$1] } } == answer.tops)
    // llama.cpp looks GELU up in a table of F16.
    for (ours, theirs) in zip(try #require(rows.last), answer.last) { #expect(abs(ours - theirs) <= 0.02 * spread) }
  }

  @Test(
    "where llama.cpp differs or refuses, we say so when we write",
    arguments: answers.filter { !$0.agrees && $0.recipe == nil })
  func warned(answer: Answer) throws {
    let opened = try openCase(answer.name)
    let warnings = try GGUFExport(opened, model: opened.model, fileType: 0, name: "").warnings
    #expect(warnings.contains { $0.hasPrefix("llama.cpp") }, "\(warnings)")
  }

  @Test("int4 of two shards goes on as in llama.cpp", arguments: answers.filter { $0.recipe != nil })
  func continued(answer: Answer) throws {
    let scratch = Scratch()
    let opened = try written(answer, scratch)
    let transformer = try Transformer(
      opened.model, graph: opened.architecture.graph, arithmetic: .exact, processor: processor())
    for (prompt, continuation) in zip(answer.prompts, answer.continuations) {
      let session = Session(transformer, capacity: prompt.count + continuation.count)
      var sampler = Sampler(temperature: 0, topK: 1, topP: 1, seed: 0)
      try session.append(prompt)
      var found: [Int] = []
      while found.count < continuation.count {
        found.append(sampler.pick(session.lastLogits()))
        if found.count < continuation.count { try session.append([found[found.count - 1]]) }
      }
      #expect(found == continuation)
    }
  }

  @Test("the families that llama.cpp knows are all there")
  func all() {
    let loaded = Set(Self.answers.filter(\.isLoaded).map(\.name))
    let given = [
      "bert", "bert-encoder", "bert-published", "chatglm2", "deepseek-v3", "ernie4_5", "ernie4_5-moe", "flan-t5",
      "gemma",
      "gemma2", "gemma3", "glm", "gpt-neox", "gpt2", "gpt2-published", "llama", "llama-tied-rope-llama3",
      "mistral-sliding",
      "mixtral", "phi3", "qwen", "qwen2", "qwen2-moe", "qwen3", "qwen3-moe", "roberta", "t5",
    ]
    #expect(loaded.isSuperset(of: given))
    // Its Llama has no sliding window; its T5 does not scale logits, which leaves the best tokens.
    #expect(
      given.filter { name in !Self.answers.contains { $0.name == name && $0.agrees } } == ["mistral-sliding", "t5"])
  }
}

/// Logits of every position, of encoders their final states, which is all that llama.cpp has.
private func states(_ opened: OpenedModel, _ golden: Golden) throws -> [[Float]] {
  let values: [Float]
  if opened.architecture.graph.kind == .encoder {
    let transformer = try Transformer(
      opened.model, graph: opened.architecture.graph, arithmetic: .exact, processor: processor())
    let encoder = Encoder(transformer, rows: golden.ids.reduce(0) { $0 + $1.count })
    values = try encoder.run(golden.ids.map { EncoderInput(ids: $0) }).states.array
  } else {
    values = try #require(try outputs(opened, golden)["logits"])
  }
  let width = values.count / (golden.decoderIds ?? golden.ids).reduce(0) { $0 + $1.count }
  return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
}
