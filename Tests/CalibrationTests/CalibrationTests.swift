import Bytes
import Calibration
import Catalog
import Codecs
import ContainerTesting
import Conversion
import IR
import Kernels
import ModelTesting
import Passes
import Runtime
import SystemPackage
import Testing
import Tokenizers
import Verification

private let processor = Processor(kernels: .best(), pool: WorkerPool(threads: 2))

/// The small model of the King James Bible, with texts to calibrate on and to judge by.
private struct Kjv {
  let opened: OpenedModel
  let calibration: [[Int]]
  let evaluation: Windows

  /// Another model, with tokens instead of texts.
  init(opened: OpenedModel, calibration: [[Int]]) {
    self.opened = opened
    self.calibration = calibration
    evaluation = Windows([], context: 4, beginning: nil)
  }

  init(calibrationWindows: Int, evaluationWindows: Int) throws {
    let folder = fixtures.appending("models/kjv-llama")
    let opened = try open(folder)
    self.opened = opened
    let tokenizer = try Tokenizer(try #require(opened.model.tokenizer))
    func windows(_ name: String, _ limit: Int) throws -> Windows {
      let text = try InputFile.contents(of: folder.appending(name), limit: 1 << 24)
      return Windows(
        try tokenizer.encode(text, addsSpecial: true).map(Int.init), context: 256,
        beginning: tokenizer.model.prefixIDs.first, limit: limit)
    }
    let calibration = try windows("calib.txt", calibrationWindows)
    self.calibration = (0..<calibration.count).map { calibration[$0] }
    evaluation = try windows("eval.txt", evaluationWindows)
  }

  /// Every matrix in one format.
  func plan(_ format: BlockFormat) -> QuantizationPlan {
    var plan = QuantizationPlan.widenedVectors(of: opened.model)
    for index in plan.steps.indices where plan.steps[index].shape.dimensions.count > 1 { plan.steps[index].to = format }
    return plan
  }

  func transformer(_ opened: OpenedModel) throws -> Transformer {
    try Transformer(opened.model, graph: opened.architecture.graph, arithmetic: .exact, processor: processor)
  }

  func divergence(of path: FilePath) throws -> Double {
    try Verification(
      reference: transformer(opened), candidate: transformer(open(path)), windows: evaluation,
      kernels: processor.kernels, pool: processor.pool
    ).divergence.mean
  }

  func fisher(windows: Int) throws -> Fisher {
    try FisherEstimator(opened.model, graph: opened.architecture.graph, processor: processor)
      .run(Array(calibration.prefix(windows)))
  }

  func write(
    _ path: FilePath, plan: QuantizationPlan, settings: FeedbackSettings?, fisher: Fisher? = nil, threads: Int = 2,
    kernels: Kernels = .best()
  ) throws {
    let processor = Processor(kernels: kernels, pool: WorkerPool(threads: threads))
    let quantizer = try settings.map {
      try LayerwiseQuantizer(
        opened.model, graph: opened.architecture.graph, plan: plan, windows: calibration, fisher: fisher,
        settings: $0, processor: processor)
    }
    let job = try ConversionJob(
      opened, plan: plan, ggufFileType: nil, container: .gguf, calibrated: quantizer?.encodedNames ?? [],
      kernels: kernels)
    _ = try job.write(
      to: path, overwrites: true, maximumShardBytes: nil, pool: processor.pool, calibration: quantizer)
  }
}

@Suite(.serialized) struct CalibrationTests {
  /// On the whole texts the ratios to the plain encoders are smaller; see the bench of quality.
  @Test("each method loses less than the one before", arguments: [BlockFormat.q4_0, .q2_K])
  func methods(format: BlockFormat) throws {
    let kjv = try Kjv(calibrationWindows: 32, evaluationWindows: 10)
    let scratch = Scratch()
    let path = scratch.path.appending("m.gguf")
    let plan = kjv.plan(format)
    try kjv.write(path, plan: plan, settings: nil)
    let plain = try kjv.divergence(of: path)
    var settings = FeedbackSettings()
    settings.isSequential = false
    try kjv.write(path, plan: plan, settings: settings)
    let feedback = try kjv.divergence(of: path)
    settings.isSequential = true
    try kjv.write(path, plan: plan, settings: settings, fisher: try kjv.fisher(windows: 16))
    let sequential = try kjv.divergence(of: path)
    #expect(feedback < 0.85 * plain, "\(feedback / plain)")
    #expect(sequential < 0.55 * plain, "\(sequential / plain)")
  }

  @Test("the same file for any threads and instruction set")
  func sameBytes() throws {
    let kjv = try Kjv(opened: openCase("llama"), calibration: (0..<2).map { w in (0..<24).map { ($0 * 37 + w) % 128 } })
    let scratch = Scratch()
    let plan = kjv.plan(.q4_0)
    var seen: Set<[UInt8]> = []
    for (threads, kernels) in [(1, Kernels.best()), (3, Kernels.best()), (2, try Kernels.named("generic"))] {
      let path = scratch.path.appending("m.gguf")
      try kjv.write(path, plan: plan, settings: FeedbackSettings(), threads: threads, kernels: kernels)
      seen.insert(try InputFile.contents(of: path, limit: 1 << 26))
    }
    #expect(seen.count == 1)
  }

  @Test("losses that the gradient predicts are those that are measured")
  func sensitivity() throws {
    let kjv = try Kjv(calibrationWindows: 12, evaluationWindows: 10)
    let fisher = try kjv.fisher(windows: 12)
    let choices = try SensitivityEstimator(
      kjv.opened.model, graph: kjv.opened.architecture.graph, windows: kjv.calibration, fisher: fisher,
      settings: FeedbackSettings(), processor: processor
    ).run()
    #expect(choices.count == 6 * 7 + 2)
    let scratch = Scratch()
    var settings = FeedbackSettings()
    settings.isSequential = false
    settings.sweeps = 0
    for name: ByteString in ["token_embd.weight", "output.weight", "blk.0.ffn_down.weight", "blk.2.attn_v.weight"] {
      let predicted = try #require(
        choices.first { $0.name == name }?.choices.first { $0.format == .q2_K }?.loss)
      // All others as they are.
      var plan = QuantizationPlan.widenedVectors(of: kjv.opened.model)
      let index = try #require(plan.steps.firstIndex { $0.name == name })
      plan.steps[index].to = .q2_K
      let path = scratch.path.appending("m.gguf")
      try kjv.write(path, plan: plan, settings: settings, fisher: fisher)
      let measured = try kjv.divergence(of: path)
      #expect(predicted > measured / 2 && predicted < measured * 2, "\(name): \(predicted) for \(measured)")
    }
  }

  @Test("a text shorter than a window, and a block of another kind, are refused by name")
  func refusals() throws {
    let kjv = try Kjv(calibrationWindows: 1, evaluationWindows: 1)
    let plan = kjv.plan(.q4_0)
    #expect(throws: CalibrationError.self) {
      try LayerwiseQuantizer(
        kjv.opened.model, graph: kjv.opened.architecture.graph, plan: plan, windows: [], fisher: nil,
        settings: FeedbackSettings(), processor: processor)
    }
    var odd = kjv.opened.model
    odd.replaceTensors(
      odd.tensors + [
        TensorRef(
          name: "blk.0.attn_q_norm.weight", shape: .vector(256), format: .f32,
          source: MemoryTensorSource(bytes: [UInt8](repeating: 0, count: 1024), rowByteCount: 1024))
      ])
    let quantizer = try LayerwiseQuantizer(
      odd, graph: kjv.opened.architecture.graph, plan: plan, windows: kjv.calibration, fisher: nil,
      settings: FeedbackSettings(), processor: processor)
    #expect(throws: CalibrationError.self) { try quantizer.run { _ in } }
  }
}
