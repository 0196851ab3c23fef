import Bytes
import Calibration
import Catalog
import Codecs
import ContainerTesting
import Conversion
import GGUF
import IR
import Kernels
import ModelTesting
import Passes
import Runtime
import SystemPackage
import Testing
import Tokenizers
import Verification

/// What the first layer reads, by a plain loop: a row per token of the calibration text.
private func normedEmbeddings(_ kjv: Kjv) throws -> [[Double]] {
  let embedding = try #require(kjv.opened.model["token_embd.weight"])
  let norm = try #require(kjv.opened.model["blk.0.attn_norm.weight"])
  let weights = try #require(Codec.for(norm.format, kernels: .best())).decode(norm.readAll(), count: 256)
  let codec = try #require(Codec.for(embedding.format, kernels: .best()))
  let all = codec.decode(try embedding.readAll(), count: embedding.shape.elementCount)
  return kjv.calibration.flatMap(\.self).map { token in
    let row = all[token * 256..<(token + 1) * 256].map(Double.init)
    let mean = row.reduce(0) { $0 + $1 * $1 } / 256
    return zip(row, weights).map { $0 / (mean + 1e-5).squareRoot() * Double($1) }
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

  @Test("importances are the sums of squares that a plain loop finds; llama.cpp's file of them is read back")
  func importances() throws {
    let kjv = try Kjv(calibrationWindows: 3, evaluationWindows: 1)
    let graph = kjv.opened.architecture.graph
    let collector = ImportanceCollector(kjv.opened.model, graph: graph, processor: processor)
    let importance = try collector.run(kjv.calibration, text: "calib.txt", includesHead: true)
    #expect(importance.entries.count == 6 * 7 + 1)
    #expect(importance.chunkCount == 3 && importance.chunkSize == 256)
    // The first layer's input by hand.
    var sums = [Double](repeating: 0, count: 256)
    for row in try normedEmbeddings(kjv) { for channel in 0..<256 { sums[channel] += row[channel] * row[channel] } }
    let entry = try #require(importance["blk.0.attn_q.weight"])
    for (sum, expected) in zip(entry.sums, sums) { #expect(abs(Double(sum) / expected - 1) < 1e-3) }
    #expect(entry.counts == [768])
    let scratch = Scratch()
    let path = scratch.path.appending("imatrix.gguf")
    let file = try AtomicFile(path, overwrites: true)
    try file.write(ImportanceFile.serialized(importance), at: 0)
    try file.commit()
    #expect(try ImportanceFile.read(path) == importance)
  }

  @Test(
    "GPTQ and AWQ files that were calibrated lose less than those that were not",
    arguments: ["gptq-int4-g128", "awq-int4", "w8a8"])
  func packed(recipe: String) throws {
    let kjv = try Kjv(calibrationWindows: 32, evaluationWindows: 8)
    let plan = try #require(try RecipeBook()[recipe]).plan(for: kjv.opened.model)
    let scratch = Scratch()
    var losses: [Double] = []
    for settings in [nil, FeedbackSettings()] {
      let path = scratch.path.appending("m\(losses.count)")
      let quantizer = try settings.map {
        try LayerwiseQuantizer(
          kjv.opened.model, graph: kjv.opened.architecture.graph, plan: plan, windows: kjv.calibration, fisher: nil,
          settings: $0, processor: processor)
      }
      if let quantizer { #expect(quantizer.encodedNames.count == 6 * 7) }
      let job = try ConversionJob(
        kjv.opened, plan: plan, ggufFileType: nil, container: .safetensors, calibrated: quantizer?.encodedNames ?? [],
        kernels: processor.kernels)
      _ = try job.write(
        to: path, overwrites: true, maximumShardBytes: nil, pool: processor.pool, calibration: quantizer)
      losses.append(try kjv.divergence(of: path))
    }
    #expect(losses[1] < 0.75 * losses[0], "\(losses)")
  }

  @Test("a bias takes up what rounding does to the mean of an output", arguments: [false, true])
  func biases(isSequential: Bool) throws {
    let kjv = try Kjv(calibrationWindows: 8, evaluationWindows: 1)
    var model = kjv.opened.model
    let name: ByteString = "blk.0.attn_k.bias"
    model.replaceTensors(
      model.tensors + [
        TensorRef(
          name: name, shape: .vector(128), format: .f32,
          source: MemoryTensorSource(bytes: [UInt8](repeating: 0, count: 512), rowByteCount: 512))
      ])
    var plan = QuantizationPlan.widenedVectors(of: model)
    for index in plan.steps.indices where plan.steps[index].shape.dimensions.count > 1 { plan.steps[index].to = .q2_K }
    var settings = FeedbackSettings()
    settings.isSequential = isSequential
    // The embedding stays as it is for want of a gradient, so layer 0 reads the same from both models.
    plan.steps[try #require(plan.steps.firstIndex { $0.name == "token_embd.weight" })].to =
      try #require(model["token_embd.weight"]).format
    let quantizer = try LayerwiseQuantizer(
      model, graph: kjv.opened.architecture.graph, plan: plan, windows: kjv.calibration, fisher: nil,
      settings: settings, processor: processor)
    #expect(quantizer.encodedNames.contains(name))
    var encoded: [ByteString: EncodedTensor] = [:]
    try quantizer.run { tensors in for tensor in tensors { encoded[tensor.name] = tensor } }
    let bias = try #require(Codec.for(.f32, kernels: .best())).decode(try #require(encoded[name]).bytes, count: 128)
    let key: ByteString = "blk.0.attn_k.weight"
    let rounded = try #require(Codec.for(.q2_K, kernels: .best()))
      .decode(try #require(encoded[key]).bytes, count: 128 * 256)
    let tensor = try #require(model[key])
    let exact = try #require(Codec.for(tensor.format, kernels: .best())).decode(tensor.readAll(), count: 128 * 256)
    let inputs = try normedEmbeddings(kjv)
    let mean = (0..<256).map { channel in inputs.reduce(0) { $0 + $1[channel] } / Double(inputs.count) }
    var largest = 0.0
    for row in 0..<128 {
      let error = (0..<256).reduce(0.0) { $0 + Double(exact[row * 256 + $1] - rounded[row * 256 + $1]) * mean[$1] }
      #expect(abs(Double(bias[row]) - error) < 1e-4)
      largest = max(largest, abs(error))
    }
    #expect(largest > 1e-3, "rounding did nothing to the means")
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
