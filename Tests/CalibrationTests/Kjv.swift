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

let processor = Processor(kernels: .best(), pool: WorkerPool(threads: 2))

/// The small model of the King James Bible, with texts to calibrate on and to judge by.
struct Kjv {
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
      .run(Array(calibration.prefix(windows)), batch: 8)
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

extension Codec {
  func decode(_ bytes: [UInt8], count: Int) -> [Float] {
    var values = [Float](repeating: 0, count: count)
    var span = values.mutableSpan
    decode(bytes.rawSpan, into: &span)
    return values
  }
}
