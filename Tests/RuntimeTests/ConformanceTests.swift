import Catalog
import ContainerTesting
import Conversion
import Kernels
import ModelTesting
import Runtime
import SystemPackage
import Testing

@Suite struct ConformanceTests {
  /// Right implementations differ by 1e-4 of the standard deviation or so; a wrong one by a tenth or more.
  static let tolerance: Float = 1e-3

  @Test(
    "outputs are those of transformers, from the folder and from the folder written of it", arguments: conformanceCases)
  func folder(name: String) throws {
    let golden = try Golden(name)
    let scratch = Scratch()
    let opened = try openCase(name)
    #expect(golden.distance(try outputs(opened, golden)) <= Self.tolerance)
    let written = try opened.converted(to: .safetensors, at: scratch.path.appending(name))
    #expect(golden.distance(try outputs(written, golden)) <= Self.tolerance)
  }

  /// Families that llama.cpp has; the others are refused.
  @Test("… from GGUF and from a folder written of that", arguments: conformanceCases)
  func gguf(name: String) throws {
    let golden = try Golden(name)
    let scratch = Scratch()
    let opened = try openCase(name)
    let path = scratch.path.appending("\(name).gguf")
    guard opened.architecture.ggufArchitecture != nil else {
      #expect(throws: ConversionError.self) { try opened.converted(to: .gguf, at: path) }
      return
    }
    let gguf = try opened.converted(to: .gguf, at: path)
    #expect(golden.distance(try outputs(gguf, golden)) <= Self.tolerance)
    let back = try gguf.converted(to: .safetensors, at: scratch.path.appending(name))
    #expect(golden.distance(try outputs(back, golden)) <= Self.tolerance)
  }

  /// Tokens of 32 whose experts were chosen by less than int8's rounding: another expert answers, whichever matrix before
  /// the router is rounded. The others lose as little as in all cases.
  static let rerouted = [
    "v-deepseek-v3-fused": 1, "v-deepseek-v3-mscale": 2, "v-ernie4_5-moe-interval": 2, "v-mixtral-fused": 1,
  ]

  @Test("int8 loses next to nothing", arguments: conformanceCases)
  func int8(name: String) throws {
    let golden = try Golden(name)
    let opened = try openCase(name)
    let found = try outputs(opened, golden, model: try opened.packed("int8"))
    guard let tokens = Self.rerouted[name] else { return #expect(golden.cosine(found) >= 0.999) }
    let cosines = golden.tokenCosines(try #require(found["logits"]))
    #expect(cosines.count == 32 && cosines.count { $0 < 0.999 } <= tokens)
  }

  @Test("all the cases are there")
  func cases() {
    #expect(conformanceCases.count >= 120)
    #expect(Set(conformanceCases).isSuperset(of: ["llama", "bert-published", "chatglm2", "xlnet", "bart", "v-pangu"]))
  }
}

/// Cases in which a token's logits depend on tokens before it only.
private let causalCases = conformanceCases.filter { name in
  guard let opened = try? openCase(name), let graph = Optional(opened.architecture.graph) else { return true }
  return graph.kind != .encoder && graph.attention == .causal
    // These choose their frequencies by the length of the whole sequence.
    && !["dynamic", "longrope", "dynamic_powers"].contains(
      opened.model.hyperparameters.string("rope.scaling.type"))
}

@Suite struct InvarianceTests {
  @Test("tokens one by one, in odd pieces and all at once: the same bits", arguments: causalCases)
  func batches(name: String) throws {
    let golden = try Golden(name)
    let opened = try openCase(name)
    for arithmetic in [Arithmetic.exact, .fast] {
      let whole = bits(try outputs(opened, golden, arithmetic: arithmetic))
      for step in [1, 5] {
        #expect(bits(try outputs(opened, golden, arithmetic: arithmetic, step: step)) == whole, "pieces of \(step)")
      }
    }
  }

  @Test(
    "threads and instruction sets: the same bits", arguments: ["f16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1"],
    [Arithmetic.exact, .fast])
  func machines(recipe: String, arithmetic: Arithmetic) throws {
    let golden = try Golden("llama")
    let scratch = Scratch()
    let opened = try openCase("llama").converted(to: .gguf, at: scratch.path.appending("m.gguf"), recipe: recipe)
    let first = bits(try outputs(opened, golden, arithmetic: arithmetic, on: processor(.best(), threads: 1)))
    for kernels in Kernels.available {
      for threads in [1, 2, 3] {
        let found = bits(
          try outputs(opened, golden, arithmetic: arithmetic, on: processor(kernels, threads: threads)))
        #expect(found == first, "\(kernels.name), \(threads) threads")
      }
    }
  }

  /// Rounding inputs to int8 and the cache to F16 costs about a hundredth.
  @Test("fast is close to exact", arguments: ["f16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1"])
  func fast(recipe: String) throws {
    let golden = try Golden("llama")
    let scratch = Scratch()
    let opened = try openCase("llama").converted(to: .gguf, at: scratch.path.appending("m.gguf"), recipe: recipe)
    let exact = try outputs(opened, golden)["logits"] ?? []
    let fast = try outputs(opened, golden, arithmetic: .fast)["logits"] ?? []
    let error = zip(exact, fast).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } / Float(exact.count)
    #expect(error.squareRoot() < 0.03 * golden.standardDeviation)
  }
}

@Suite struct SessionTests {
  @Test("tokens and positions that are not there are refused, and the session stays usable")
  func bounds() throws {
    let opened = try openCase("llama")
    let transformer = try Transformer(
      opened.model, graph: opened.architecture.graph, arithmetic: .exact, processor: processor())
    let session = Session(transformer, capacity: 4)
    #expect(throws: RuntimeError.self) { try session.append([320]) }
    #expect(throws: RuntimeError.self) { try session.append([-1]) }
    #expect(throws: RuntimeError.self) { try session.append([1, 2, 3, 4, 5]) }
    #expect(session.position == 0)
    try session.append([1, 2, 3, 4])
    #expect(throws: RuntimeError.self) { try session.append([5]) }
    let before = bits(["logits": session.lastLogits().array()])
    session.reset()
    try session.append([1, 2, 3, 4])
    #expect(bits(["logits": session.lastLogits().array()]) == before)
  }

  @Test("with any cache, tokens one by one give what they give together", arguments: KeyValueCache.Element.allCases)
  func caches(element: KeyValueCache.Element) throws {
    let opened = try openCase("llama")
    let transformer = try Transformer(
      opened.model, graph: opened.architecture.graph, arithmetic: .exact, cache: element, processor: processor())
    #expect(transformer.cacheElement == element)
    let tokens = (0..<40).map { $0 * 37 % 320 }
    let session = Session(transformer, capacity: tokens.count)
    try session.append(tokens)
    let together = session.lastLogits().array().map(\.bitPattern)
    session.reset()
    for token in tokens { try session.append([token]) }
    #expect(session.lastLogits().array().map(\.bitPattern) == together)
  }

  @Test("the forecast of a session's memory is close to what it allocates")
  func memory() throws {
    let opened = try openCase("llama")
    let transformer = try Transformer(
      opened.model, graph: opened.architecture.graph, arithmetic: .exact, processor: processor())
    // 3 layers of 2 heads of 16 keys and 16 values in F32, and the rotary table.
    let difference =
      Session.byteCount(for: transformer, capacity: 2048) - Session.byteCount(for: transformer, capacity: 1024)
    #expect(difference == 1024 * Double(3 * 2 * 32 * 4 + 16 * 4))
    #expect(Session.byteCount(for: transformer, capacity: Int.max) > 1e18)
    // A head of 16 takes a whole block of Q4_0.
    let packed = try Transformer(
      opened.model, graph: opened.architecture.graph, arithmetic: .exact, cache: .q4_0, processor: processor())
    let less = Session.byteCount(for: packed, capacity: 2048) - Session.byteCount(for: packed, capacity: 1024)
    #expect(less == 1024 * Double(3 * 2 * 2 * 18 + 16 * 4))
  }
}

@Suite struct SamplerTests {
  @Test("greedy takes the first of the largest; a seed repeats itself")
  func sampler() {
    let values = Floats([0, 3, 3, 1])
    var greedy = Sampler(temperature: 0, topK: 40, topP: 1, seed: 0)
    #expect(greedy.pick(values) == 1)
    var a = Sampler(temperature: 1, topK: 4, topP: 1, seed: 7)
    var b = Sampler(temperature: 1, topK: 4, topP: 1, seed: 7)
    let first = (0..<50).map { _ in a.pick(values) }
    #expect(first == (0..<50).map { _ in b.pick(values) })
    #expect(Set(first).count > 1 && first.allSatisfy { (0..<4).contains($0) })
    var narrow = Sampler(temperature: 1, topK: 1, topP: 1, seed: 7)
    #expect((0..<20).allSatisfy { _ in narrow.pick(values) == 1 })
  }
}
