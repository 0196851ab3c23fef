import Bytes
import ContainerTesting
import Conversion
import IR
import SystemPackage
import Testing

/// What is named in place of weights, and the advice that must follow.
@Suite struct UserMistakeTests {
  struct Mistake: Sendable, CustomTestStringConvertible {
    let file: String
    let bytes: [UInt8]
    let words: [String]
    var testDescription: String { file }

    init(_ file: String, _ text: String, _ words: String...) { self.init(file, Array(text.utf8), words) }
    init(_ file: String, _ bytes: [UInt8], _ words: [String]) {
      self.file = file
      self.bytes = bytes
      self.words = words
    }
  }

  static let mistakes = [
    Mistake("page.safetensors", "\n <!doctype HTML>\n<html>", "web page", "fetch"),
    Mistake("denied.bin", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "web page", "fetch"),
    Mistake("missing.bin", "Entry not found", "server's answer", "fetch"),
    Mistake("error.safetensors", "{\"error\":\"Repository not found\"}", "server's answer", "Repository not found"),
    Mistake("pointer.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS", "git lfs pull"),
    Mistake("model.tflite", [0x1C, 0, 0, 0] + Array("TFL3 and so on".utf8), ["TensorFlow Lite"]),
    Mistake(
      "cut.onnx", [8, 9, 0x12, 7] + Array("pytorch".utf8) + [0x3A, 0xFF, 0xFF, 3] + [UInt8](repeating: 7, count: 40),
      ["ONNX", "cut off"]),
    Mistake("model.tar.gz", [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3], ["gzip", "gunzip"]),
    Mistake("model.ckpt.data-00000-of-00001", [UInt8](repeating: 9, count: 64), [".index"]),
    Mistake("noise.bin", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], ["neither"]),
    Mistake("empty.bin", [], ["it is empty"]),
  ]

  @Test(arguments: mistakes)
  func isExplained(mistake: Mistake) throws {
    let scratch = Scratch()
    let path = try scratch.write(mistake.bytes, to: mistake.file)
    do throws(ConversionError) {
      _ = try Checkpoint(path)
      Issue.record("accepted")
    } catch {
      for word in [mistake.file] + mistake.words { #expect("\(error)".contains(word), "\(error)") }
    }
  }

  private func names(_ path: FilePath) throws -> [String] { try Checkpoint(path).tensors.map(\.name.text) }

  @Test("a part stands for the whole: a shard, a part of Meta's, a prefix of TensorFlow's, a SavedModel")
  func wholeFromPart() throws {
    let shards = fixtures.appending("safetensors").appending("good")
    let whole = try names(shards.appending("model.safetensors.index.json"))
    #expect(try names(shards.appending("model-00002-of-00002.safetensors")) == whole)
    let containers = fixtures.appending("containers")
    #expect(
      try names(containers.appending("meta").appending("consolidated.01.pth"))
        == (try names(containers.appending("meta"))))
    #expect(try names(containers.appending("tf")) == (try names(containers.appending("tf.index"))))
    let scratch = Scratch()
    _ = try scratch.write([8, 1], to: "saved_model.pb")
    let variables = Scratch(under: scratch.path, name: "variables")
    for (from, to) in [("tf.index", "variables.index"), ("tf.data-00000-of-00001", "variables.data-00000-of-00001")] {
      _ = try variables.write(try InputFile.contents(of: containers.appending(from), limit: 1 << 20), to: to)
    }
    #expect(try names(scratch.path) == (try names(containers.appending("tf.index"))))
  }

  @Test func theOnlyFileOfADirectoryIsMeant() throws {
    let scratch = Scratch()
    let model = fixtures.appending("containers").appending("old.h5")
    _ = try scratch.write(try InputFile.contents(of: model, limit: 1 << 20), to: "anything.h5")
    _ = try scratch.write([1, 2, 3], to: "optimizer.pt")
    #expect(try names(scratch.path) == (try names(model)))
    _ = try scratch.write([1, 2, 3], to: "another.onnx")
    #expect(throws: ConversionError.self) { _ = try Checkpoint(scratch.path) }
  }
}
