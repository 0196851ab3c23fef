import Bytes
import ContainerTesting
import GGUF
import IR
import SystemPackage
import Testing

@Suite struct GGUFLayoutTests {
  /// A header that gguf-py or llama.cpp wrote comes out again byte for byte; so does the whole file.
  @Test(arguments: GGUFReaderTests.wholeFiles + GGUFReaderTests.parts)
  func sameBytes(path: FilePath) throws {
    let scratch = Scratch()
    let part = try GGUFPart(path)
    let layout = try GGUFLayout(stem: "copy", metadata: part.metadata, tensors: part.tensors).files[0]
    var header = try part.file.read(at: 0, count: min(layout.header.count, part.file.byteCount))
    header[4] = 3  // Version 2 is written as 3, which differs in the number only.
    #expect(layout.header.starts(with: header))
    let copy = try InputFile(try scratch.write(layout))
    var original = try part.file.read(at: 0, count: part.file.byteCount)
    original[4] = 3
    let written = try copy.read(at: 0, count: copy.byteCount)
    #expect(written.starts(with: original))
    // A file without tensors may end before its padding.
    #expect(written.count - original.count < 32 && written[original.count...].allSatisfy { $0 == 0 })
  }

  /// The same parts as llama-gguf-split makes.
  @Test func splitLikeLlama() throws {
    let whole = try GGUFFile(GGUFReaderTests.wholeFiles[0])
    let layout = try GGUFLayout(
      stem: "llama-split", metadata: whole.metadata, tensors: whole.tensors, maximumPartBytes: 900)
    #expect(layout.files.map { $0.placements.count } == [3, 3, 2])
    for file in layout.files {
      let theirs = try GGUFPart(GGUFReaderTests.good.appending(file.name))
      #expect(file.header == (try theirs.file.read(at: 0, count: theirs.dataOffset)))
      #expect(file.byteCount == theirs.file.byteCount)
    }
  }

  @Test func splitWithAlignment() throws {
    let scratch = Scratch()
    let whole = try GGUFFile(GGUFReaderTests.wholeFiles[3])
    let layout = try GGUFLayout(
      stem: "m", metadata: whole.metadata, tensors: whole.tensors, alignment: 128, maximumPartBytes: 1)
    #expect(layout.files.count == 8)
    #expect(layout.files[7].name == "m-00008-of-00008.gguf")
    var last = scratch.path
    for file in layout.files { last = try scratch.write(file) }
    let read = try GGUFFile(last)
    #expect(read.parts.allSatisfy { $0.alignment == 128 })
    #expect(read.metadata["general.alignment"] == .uint32(128))
    for (a, b) in zip(read.tensors, whole.tensors) { #expect(try a.readAll() == (try b.readAll())) }
  }

  @Test func refused() throws {
    func tensor(_ name: String, _ format: BlockFormat, _ dimensions: [Int]) throws -> TensorRef {
      TensorRef(
        name: ByteString(name), shape: try #require(Shape(dimensions)), format: format,
        source: MemoryTensorSource(bytes: [], rowByteCount: 0))
    }
    for bad in [
      try tensor("u8", .u8, [4]), try tensor("axes", .f32, [1, 1, 1, 1, 1]), try tensor("rows", .q4_0, [2, 48]),
      try tensor("", .f32, [1]), try tensor(String(repeating: "n", count: 64), .f32, [1]),
    ] {
      do throws(GGUFError) {
        _ = try GGUFLayout(metadata: Metadata(), tensors: [bad])
        Issue.record("accepted \(bad.name)")
      } catch {
        #expect(error.rule == 23 && error.name == bad.name)
      }
    }
    let good = try tensor("t", .f32, [1])
    #expect(throws: GGUFError.cannotStore(tensor: "t", reason: "its name is given twice")) {
      try GGUFLayout(metadata: Metadata(), tensors: [good, good])
    }
    for alignment in [0, 4, 24, 1 << 32] {
      #expect(throws: GGUFError.self) { try GGUFLayout(metadata: Metadata(), tensors: [good], alignment: alignment) }
    }
  }

  /// For Tests/Peers/check_containers.py, which reads what this writes with the formats' own packages.
  @Test(.enabled(if: peerFolder != nil)) func writeForPeers() throws {
    let scratch = Scratch(under: try #require(peerFolder), name: "gguf")
    for path in GGUFReaderTests.wholeFiles {
      let part = try GGUFPart(path)
      let layout = try GGUFLayout(stem: path.stem ?? "", metadata: part.metadata, tensors: part.tensors)
      for file in layout.files { _ = try scratch.write(file) }
    }
    let whole = try GGUFFile(GGUFReaderTests.wholeFiles[0])
    let layout = try GGUFLayout(
      stem: "parts", metadata: whole.metadata, tensors: whole.tensors, maximumPartBytes: 900)
    for file in layout.files { _ = try scratch.write(file) }
  }
}
