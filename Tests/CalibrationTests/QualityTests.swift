import Bytes
import Calibration
import Conversion
import ContainerTesting
import IR
import Kernels
import ModelTesting
import Passes
import SystemPackage
import Testing
import Tokenizers
import Verification

/// A short form of `make bench-quality`: what we lose beside llama-quantize, the same type for each tensor.
///
/// llama.cpp's side is Fixtures/quality, of the same windows. Its figures hold the rounding of activations to int8 as
/// well, about 0.0001, which ours here do not; the bounds leave room for that.
@Suite(.serialized) struct QualityTests {
  private struct Answers {
    let calibrationWindows: Int
    let evaluationWindows: Int
    let rows: [ByteString: (divergence: Double, fileBytes: Int)]

    init() throws {
      let bytes = try InputFile.contents(of: fixtures.appending("quality/kjv-llama.json"), limit: 1 << 20)
      let json = try #require(try JSONValue.parse(bytes).object)
      calibrationWindows = try #require(json["calibrationWindows"]?.int)
      evaluationWindows = try #require(json["evaluationWindows"]?.int)
      var rows: [ByteString: (divergence: Double, fileBytes: Int)] = [:]
      for member in json["rows"]?.object?.members ?? [] {
        rows[member.key] = (
          try #require(member.value.object?["kld"]?.double), try #require(member.value.object?["fileBytes"]?.int)
        )
      }
      self.rows = rows
    }
  }

  @Test("calibrated", arguments: [("q4_0", 0.4), ("q4_k_m", 0.45), ("q2_k", 0.45)])
  func calibrated(recipe: String, bound: Double) throws {
    let answers = try Answers()
    let kjv = try Kjv(calibrationWindows: answers.calibrationWindows, evaluationWindows: answers.evaluationWindows)
    let plan = try #require(try RecipeBook()[recipe]).plan(for: kjv.opened.model, isCalibrated: true)
    let scratch = Scratch()
    let path = scratch.path.appending("m.gguf")
    try kjv.write(
      path, plan: plan, settings: FeedbackSettings(), fisher: try kjv.fisher(windows: answers.calibrationWindows))
    let theirs = try #require(answers.rows[ByteString("\(recipe.uppercased())/calib.txt")])
    #expect(try InputFile(path).byteCount <= theirs.fileBytes)
    let ratio = try kjv.divergence(of: path) / theirs.divergence
    #expect(ratio < bound, "\(ratio)")
  }

  @Test("without any data", arguments: ["q4_0"])
  func uncalibrated(recipe: String) throws {
    let answers = try Answers()
    let kjv = try Kjv(calibrationWindows: 1, evaluationWindows: answers.evaluationWindows)
    let plan = try #require(try RecipeBook()[recipe]).plan(for: kjv.opened.model)
    let scratch = Scratch()
    let path = scratch.path.appending("m.gguf")
    try kjv.write(path, plan: plan, settings: nil)
    let theirs = try #require(answers.rows[ByteString("\(recipe.uppercased())/none")])
    let ratio = try kjv.divergence(of: path) / theirs.divergence
    #expect(ratio < 0.95, "\(ratio)")
  }
}
