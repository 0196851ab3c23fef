import Bytes
import ContainerTesting
import IR
import Kernels
import SystemPackage
import Testing

/// What calibration and quantization make of odd input: a clear outcome for each.
@Suite struct QuantizeTests {
  private let scratch = Scratch()

  private func text(_ words: String, named name: String = "text.txt") throws -> String {
    try scratch.write(Array(words.utf8), to: name).string
  }

  @Test("texts that are too short, missing, or no text; formats and options that do not go with calibration")
  func refused() throws {
    let out = scratch.path.appending("out.gguf").string
    let short = try text("In the beginning God created the heaven and the earth.")
    let rows: [(arguments: [String], status: Int32, words: [String])] = [
      (["quantize", kjv.string, "-o", out, "--calibrate", short], 2, ["text.txt", "less than one window"]),
      (["quantize", kjv.string, "-o", out, "--verify", short], 2, ["text.txt", "less than one window"]),
      (["quantize", kjv.string, "-o", out, "--calibrate", "/none.txt"], 1, ["/none.txt", "No such file"]),
      (
        ["quantize", kjv.string, "-o", out, "--calibrate", kjv.appending("model.safetensors").string], 4,
        ["model.safetensors", "not a UTF-8 text"]
      ),
      (["quantize", kjv.string, "-o", out, "--target-size", "4MB"], 2, ["--calibrate"]),
      (
        [
          "quantize", kjv.string, "-o", scratch.path.appending("nf4").string, "--recipe", "nf4", "--calibrate",
          kjv.appending("calib.txt").string,
        ], 2, ["nf4", "--calibrate"]
      ),
      (["imatrix", kjv.string, "-o", out, "--text", short], 2, ["text.txt", "less than one window"]),
      (["imatrix", kjv.string, "-o", short, "--text", kjv.appending("eval.txt").string], 1, ["text.txt", "--force"]),
    ]
    for row in rows {
      try expectFailure(row.arguments, status: row.status, words: row.words, keeping: scratch.path)
    }
  }

  /// A copy of kjv-llama with some weights of one matrix (BF16, [256, 256]) replaced.
  private func damaged(_ change: (inout [UInt8], Range<Int>) -> Void) throws -> String {
    let folder = Scratch(under: scratch.path, name: "model")
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
      _ = try folder.write(try InputFile.contents(of: kjv.appending(name), limit: 1 << 24), to: name)
    }
    var bytes = try InputFile.contents(of: kjv.appending("model.safetensors"), limit: 1 << 30)
    let length = (0..<8).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    let header = try #require(try JSONValue.parse(Array(bytes[8..<8 + length])).object)
    let entry = header["model.layers.1.self_attn.q_proj.weight"]?.object
    let ends = entry?["data_offsets"]?.array ?? []
    let offsets = ends.compactMap { $0.int }
    try #require(offsets.count == 2)
    #expect(entry?["dtype"]?.string == "BF16" && offsets[1] - offsets[0] == 256 * 256 * 2)
    change(&bytes, 8 + length + offsets[0]..<8 + length + offsets[1])
    _ = try folder.write(bytes, to: "model.safetensors")
    return folder.path.string
  }

  private func quantize(_ model: String, _ more: [String] = []) throws -> Quern.Outcome {
    try Quern.run(
      ["quantize", model, "-o", scratch.path.appending("out.gguf").string, "--force", "--recipe", "q4_k_m", "--json"]
        + more)
  }

  @Test("a text that some formats cannot make use of is told with what would help")
  func unread() throws {
    let text = ["--calibrate", kjv.appending("calib.txt").string, "--calibration-tokens", "512"]
    for (tensor, isTold) in [("ffn_up=iq3_s", true), ("ffn_up=q3_k", false)] {
      let outcome = try quantize(kjv.string, text + ["--tensor", tensor])
      #expect(outcome.status == 0)
      let warnings = try outcome.json()["warnings"]?.array?.compactMap { $0.string?.text } ?? []
      let found = warnings.contains {
        $0.contains("IQ3_S") && $0.contains("blk.0.ffn_up.weight and 5 other") && $0.contains("--imatrix")
      }
      #expect(found == isTold, "\(warnings)")
    }
  }

  @Test("weights that are no numbers are stored as zero with a warning, and stop a calibration")
  func nonFinite() throws {
    let model = try damaged { bytes, range in
      // NaN and infinity.
      bytes.replaceSubrange(range.lowerBound..<range.lowerBound + 4, with: [0xc0, 0x7f, 0x80, 0x7f])
    }
    let outcome = try quantize(model)
    #expect(outcome.status == 0)
    let warnings = try outcome.json()["warnings"]?.array?.compactMap { $0.string?.text } ?? []
    #expect(warnings.contains { $0.contains("blk.1.attn_q.weight holds 2 values that are not finite") })
    let calibrated = try quantize(
      model, ["--calibrate", kjv.appending("calib.txt").string, "--calibration-tokens", "1024"])
    #expect(calibrated.status == 4 && calibrated.errors.contains("not finite"), "\(calibrated.errors)")
  }

  @Test("zeros, constants and huge outliers are quantized, calibrated or not", arguments: [false, true])
  func odd(isCalibrated: Bool) throws {
    let model = try damaged { bytes, range in
      for index in range { bytes[index] = 0 }
      // Row 3 is 1 throughout; row 5 has one weight of 2^20.
      for column in 0..<256 { bytes[range.lowerBound + (3 * 256 + column) * 2 + 1] = 0x3f }
      for column in 0..<256 { bytes[range.lowerBound + (3 * 256 + column) * 2] = 0x80 }
      bytes[range.lowerBound + 5 * 512 + 1] = 0x49
      bytes[range.lowerBound + 5 * 512] = 0x80
    }
    let arguments =
      isCalibrated ? ["--calibrate", kjv.appending("calib.txt").string, "--calibration-tokens", "2048"] : []
    let outcome = try quantize(model, arguments)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let file = scratch.path.appending("out.gguf").string
    let verified = try Quern.run([
      "verify", file, "--text", kjv.appending("eval.txt").string, "--windows", "1", "--json",
    ])
    #expect(verified.status == 0)
    let perplexity = try verified.json()["reference"]?.object?["perplexity"]?.double
    #expect(try #require(perplexity).isFinite)
  }

  @Test("--verify measures the output, in parts too, and keeps it in the report, where the calibration's text is named")
  func verified() throws {
    let out = scratch.path.appending("out.gguf").string
    let short = String(
      decoding: try InputFile.contents(of: kjv.appending("eval.txt"), limit: 1 << 24).prefix(8000), as: UTF8.self)
    let outcome = try Quern.run([
      "quantize", kjv.string, "-o", out, "--recipe", "q8_0", "--json", "--verify", try text(short), "--calibrate",
      kjv.appending("calib.txt").string, "--calibration-tokens", "1024", "--max-shard-size", "3MB",
    ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(FileSystem.exists(scratch.path.appending("out-00001-of-00003.gguf")))
    let bytes = try InputFile.contents(of: FilePath(out + ".report.json"), limit: 1 << 24)
    let report = try #require(try JSONValue.parse(bytes).object)
    for json in [try outcome.json(), report] {
      let divergence = json["verification"]?.object?["kld"]?.object?["mean"]?.double
      #expect(try #require(divergence) < 0.01)
    }
    let calibration = report["calibration"]?.object
    #expect(calibration?["text"]?.object?["name"]?.string == "calib.txt")
    #expect(calibration?["text"]?.object?["sha256"]?.string?.count == 64)
  }

  @Test("without a text at hand the model writes its own; it is the same each time, and the report says so")
  func ownText() throws {
    var files: [[UInt8]] = []
    for name in ["first.gguf", "second.gguf"] {
      let out = scratch.path.appending(name).string
      let outcome = try Quern.run([
        "quantize", kjv.string, "-o", out, "--recipe", "q4_0", "--calibrate", "self", "--calibration-tokens", "512",
        "--calibration-context", "256", "--method", "feedback", "--threads", files.isEmpty ? "1" : "2",
      ])
      #expect(outcome.status == 0, "\(outcome.errors)")
      files.append(try InputFile.contents(of: FilePath(out), limit: 1 << 24))
      let bytes = try InputFile.contents(of: FilePath(out + ".report.json"), limit: 1 << 24)
      let calibration = try JSONValue.parse(bytes).object?["calibration"]?.object
      #expect(calibration?["text"]?.object?["name"]?.string == "self")
      #expect(calibration?["windows"]?.int == 2)
    }
    #expect(files[0] == files[1])
  }

  /// A GGUF is hashed while it is opened, unless there is but one thread.
  @Test("the report names its sources by their SHA-256", arguments: ["1", "2"])
  func sources(threads: String) throws {
    let weights = kjv.appending("model.safetensors")
    let middle = scratch.path.appending("middle.gguf")
    for (model, file, out) in [(kjv, weights, middle), (middle, middle, scratch.path.appending("out.gguf"))] {
      let outcome = try Quern.run([
        "quantize", model.string, "-o", out.string, "--recipe", "q8_0", "--threads", threads,
      ])
      #expect(outcome.status == 0, "\(outcome.errors)")
      let bytes = try InputFile.contents(of: FilePath(out.string + ".report.json"), limit: 1 << 24)
      let rows = try JSONValue.parse(bytes).object?["source"]?.array?.compactMap { $0.object } ?? []
      let row = try #require(rows.first { $0["name"]?.string?.text == file.lastComponent?.string })
      let contents = try InputFile.contents(of: file, limit: 1 << 24)
      #expect(row["sha256"]?.string?.text == SHA256.hexadecimal(of: contents))
      #expect(row["bytes"]?.int == contents.count)
    }
  }
}
