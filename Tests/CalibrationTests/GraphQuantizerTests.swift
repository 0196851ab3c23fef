import Bytes
import Calibration
import Catalog
import Codecs
import Conversion
import Glibc
import IR
import Kernels
import ModelTesting
import Passes
import Runtime
import Testing

/// The quantizer that takes any graph.
@Suite(.serialized) struct GraphQuantizerTests {
  /// Every matrix of the blocks in one format, where its width allows; the rest as it is.
  private func plan(_ model: Model, _ format: BlockFormat) -> QuantizationPlan {
    var plan = QuantizationPlan.widenedVectors(of: model)
    for index in plan.steps.indices {
      let step = plan.steps[index]
      guard step.shape.dimensions.count > 1, step.name.hasPrefix("blk."), step.shape.columns % 32 == 0 else { continue }
      guard step.name.hasSuffix(".weight"), !step.name.text.contains("norm"), !step.name.text.contains("gate_inp")
      else {
        continue
      }
      plan.steps[index].to = format
    }
    return plan
  }

  private func windows(_ model: Model, count: Int, tokens: Int) -> [[Int]] {
    let vocabulary = model["token_embd.weight"]?.shape.rows ?? 1
    return (0..<count).map { window in (0..<tokens).map { ($0 * $0 * 31 + $0 * 17 + window * 101) % vocabulary } }
  }

  private func encoded(_ quantizer: any ModelQuantizer) throws -> [ByteString: EncodedTensor] {
    var result: [ByteString: EncodedTensor] = [:]
    try quantizer.run { tensors in
      for tensor in tensors {
        #expect(result[tensor.name] == nil, "\(tensor.name) came twice")
        result[tensor.name] = tensor
      }
    }
    #expect(Set(result.keys) == quantizer.encodedNames)
    return result
  }

  private func replacing(_ model: Model, _ change: (TensorRef) -> TensorRef) -> Model {
    var result = model
    result.replaceTensors(model.tensors.map(change))
    return result
  }

  /// Mean squared difference of the final states, relative to their size, over the windows.
  private func distance(_ a: Model, _ b: Model, _ graph: Graph, _ windows: [[Int]]) throws -> Double {
    let transformers = try [a, b].map {
      try Transformer($0, graph: graph, arithmetic: .exact, processor: processor)
    }
    var (error, size) = (0.0, 0.0)
    for window in windows {
      var states: [[Float]] = []
      for transformer in transformers {
        // The residual stream after the last layer.
        var last: [Float] = []
        if graph.kind == .encoder {
          let encoder = Encoder(transformer, rows: window.count)
          last = try encoder.run([EncoderInput(ids: window)]).states.floats.array()
        } else {
          let session = Session(transformer, capacity: window.count)
          session.observer = { _, state in last = (0..<state.rows).flatMap { state[$0].array() } }
          try session.append(window)
        }
        states.append(last)
      }
      for (x, y) in zip(states[0], states[1]) {
        error += Double(x - y) * Double(x - y)
        size += Double(x) * Double(x)
      }
    }
    return error / size
  }

  @Test(
    "families with blocks of their own lose less than by rounding alone",
    arguments: [
      "gemma2", "gemma3", "qwen3", "phi3", "gpt2", "gpt-neox", "glm", "chatglm2", "mixtral", "qwen2-moe",
      "ernie4_5-moe",
      "deepseek-v3", "v-olmo2", "v-stablelm-parallel", "v-pangu", "v-chatglm-gmask", "bert", "xlnet", "mpnet",
    ])
  func families(name: String) throws {
    let opened = try openCase(name)
    let (model, graph) = (opened.model, opened.architecture.graph)
    let format = BlockFormat.q4_0
    let plan = plan(model, format)
    let windows = windows(model, count: 6, tokens: 12)
    #expect(!FisherEstimator.supports(model, graph: graph))
    let quantizer = try GraphQuantizer(
      model, graph: graph, plan: plan, windows: windows, settings: FeedbackSettings(), processor: processor)
    let tensors = try encoded(quantizer)
    #expect(!tensors.isEmpty)
    let calibrated = replacing(model) { tensor in
      guard let encoded = tensors[tensor.name] else { return tensor }
      #expect(encoded.bytes.count == tensor.shape.elementCount / 32 * 18, "\(tensor.name)")
      return TensorRef(
        name: tensor.name, shape: tensor.shape, format: format,
        source: MemoryTensorSource(bytes: encoded.bytes, rowByteCount: encoded.bytes.count / tensor.shape.rows))
    }
    let rounded = replacing(model) { tensor in
      guard tensors[tensor.name] != nil,
        let source = RecodedSource(tensor, as: format, kernels: processor.kernels)
      else { return tensor }
      return TensorRef(name: tensor.name, shape: tensor.shape, format: format, source: source)
    }
    let loss = try distance(model, calibrated, graph, windows)
    let plain = try distance(model, rounded, graph, windows)
    #expect(loss < 0.8 * plain, "\(loss / plain)")
  }

  @Test("on a Llama it loses about what the quantizer made for it does", arguments: [false, true])
  func llama(isSequential: Bool) throws {
    let kjv = try Kjv(calibrationWindows: 6, evaluationWindows: 1)
    let graph = kjv.opened.architecture.graph
    var settings = FeedbackSettings()
    settings.isSequential = isSequential
    let plan = plan(kjv.opened.model, .q4_0)
    var losses: [Double] = []
    for quantizer in [
      try makeModelQuantizer(
        kjv.opened.model, graph: graph, plan: plan, windows: kjv.calibration, fisher: nil, settings: settings,
        processor: processor),
      try GraphQuantizer(
        kjv.opened.model, graph: graph, plan: plan, windows: kjv.calibration, settings: settings, processor: processor),
    ] {
      let tensors = try encoded(quantizer)
      let model = replacing(kjv.opened.model) { tensor in
        guard let encoded = tensors[tensor.name] else { return tensor }
        return TensorRef(
          name: tensor.name, shape: tensor.shape, format: encoded.format,
          source: MemoryTensorSource(bytes: encoded.bytes, rowByteCount: encoded.bytes.count / tensor.shape.rows))
      }
      losses.append(try distance(kjv.opened.model, model, graph, Array(kjv.calibration.prefix(3))))
    }
    #expect(losses[1] < 1.1 * losses[0], "\(losses[1] / losses[0])")
  }

  @Test("sums that must wait for another pass change nothing where layers are fitted alone")
  func passes() throws {
    let opened = try openCase("mixtral")
    let plan = plan(opened.model, .q4_0)
    var settings = FeedbackSettings()
    settings.isSequential = false
    var seen: Set<[ByteString: [UInt8]]> = []
    for (budget, threads) in [(1 << 30, 2), (1, 1)] {
      let processor = Processor(kernels: .best(), pool: WorkerPool(threads: threads))
      let quantizer = try GraphQuantizer(
        opened.model, graph: opened.architecture.graph, plan: plan,
        windows: windows(opened.model, count: 3, tokens: 10), settings: settings, processor: processor,
        sumsByteCount: budget)
      seen.insert(try encoded(quantizer).mapValues(\.bytes))
    }
    // A tensor of experts is finished in another order, with the same bytes.
    #expect(seen.count == 1)
  }

  @Test("a matrix that no product reads is encoded as well, should a plan want it")
  func unread() throws {
    let opened = try openCase("qwen3")
    var model = opened.model
    let name: ByteString = "blk.0.table.weight"
    model.replaceTensors(
      model.tensors + [
        TensorRef(
          name: name, shape: .matrix(rows: 4, columns: 32), format: .f32,
          source: MemoryTensorSource(bytes: [UInt8](repeating: 0, count: 512), rowByteCount: 128))
      ])
    let quantizer = try GraphQuantizer(
      model, graph: opened.architecture.graph, plan: plan(model, .q4_0),
      windows: windows(model, count: 2, tokens: 8), settings: FeedbackSettings(), processor: processor)
    #expect(try encoded(quantizer)[name]?.bytes.count == 4 * 18)
  }

  @Test("importances of experts count the tokens that were routed to each")
  func expertImportances() throws {
    let opened = try openCase("mixtral")
    let windows = windows(opened.model, count: 3, tokens: 10)
    let importance = try ImportanceCollector(opened.model, graph: opened.architecture.graph, processor: processor)
      .run(windows, text: "tokens", includesHead: false)
    let used = try #require(opened.model.hyperparameters.integer("expert_used_count"))
    for name: ByteString in ["blk.0.ffn_gate_exps.weight", "blk.0.ffn_down_exps.weight"] {
      let entry = try #require(importance[name])
      #expect(entry.counts.reduce(0, +) == Float(30 * used))
      #expect(entry.sums.allSatisfy { $0 >= 0 })
    }
    #expect(importance["blk.0.attn_q.weight"]?.counts == [30])
  }

  @Test("what a divergence that was measured says of tensors is what the gradient says")
  func probes() throws {
    let kjv = try Kjv(calibrationWindows: 4, evaluationWindows: 1)
    let (model, graph) = (kjv.opened.model, kjv.opened.architecture.graph)
    let probed = try ProbedSensitivity(
      model, graph: graph, windows: kjv.calibration, probeTokens: 256, settings: FeedbackSettings(),
      processor: processor
    ).run()
    let predicted = try SensitivityEstimator(
      model, graph: graph, windows: kjv.calibration, fisher: kjv.fisher(windows: 4), settings: FeedbackSettings(),
      processor: processor
    ).run()
    #expect(Set(probed.map(\.name)) == Set(predicted.map(\.name)))
    var logarithms: [Double] = []
    for tensor in probed {
      let other = try #require(predicted.first { $0.name == tensor.name })
      for (a, b) in zip(tensor.choices, other.choices) {
        #expect(a.format == b.format && a.byteCount == b.byteCount)
        logarithms.append(abs(Glibc.log(a.loss / b.loss)))
      }
    }
    // Each has the noise of a few hundred tokens.
    let typical = logarithms.sorted()[logarithms.count / 2]
    #expect(typical < Glibc.log(1.6), "\(Glibc.exp(typical))")
  }

  @Test("experts and latent attention have a price", arguments: ["mixtral", "deepseek-v3", "qwen3-moe", "gemma2"])
  func probedFamilies(name: String) throws {
    let opened = try openCase(name)
    let choices = try ProbedSensitivity(
      opened.model, graph: opened.architecture.graph, windows: windows(opened.model, count: 3, tokens: 12),
      probeTokens: 24, settings: FeedbackSettings(), processor: processor
    ).run()
    #expect(choices.contains { $0.name.text.contains("attn") })
    // Qwen's experts are too narrow here for any block.
    #expect(choices.contains { $0.name.text.contains("ffn_down") } == (name != "qwen3-moe"))
    for tensor in choices {
      let losses = Dictionary(tensor.choices.map { ($0.format, $0.loss) }, uniquingKeysWith: { a, _ in a })
      guard let few = losses[.iq4_NL], let many = losses[.q8_0] else { continue }
      #expect(few > 0 && many < 0.1 * few, "\(tensor.name): \(few), \(many)")
    }
  }

  @Test("layers that share their weights are refused by name")
  func shared() throws {
    let opened = try openCase("albert")
    #expect(throws: CalibrationError.self) {
      try GraphQuantizer(
        opened.model, graph: opened.architecture.graph, plan: plan(opened.model, .q4_0),
        windows: windows(opened.model, count: 2, tokens: 8), settings: FeedbackSettings(), processor: processor)
    }
  }
}
