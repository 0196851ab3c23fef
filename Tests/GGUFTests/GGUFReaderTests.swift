import Bytes
import ContainerTesting
import GGUF
import Glibc
import IR
import SystemPackage
import Testing

@Suite struct GGUFReaderTests {
  static let good = fixtures.appending("gguf").appending("good")
  static let wholeFiles = ["plain", "version_2", "every_value_type", "aligned_64"].map { good.appending($0 + ".gguf") }
  static let parts = ["python", "llama"].flatMap { tool in
    (1...3).map { good.appending("\(tool)-split-0000\($0)-of-00003.gguf") }
  }

  @Test func tensors() throws {
    let file = try GGUFFile(Self.wholeFiles[0])
    let rows: [(String, String, [Int])] = [
      ("blk.0.bf16.weight", "BF16", [3, 64]), ("blk.0.q4_k.weight", "Q4_K", [2, 256]),
      ("blk.0.q8_0.weight", "Q8_0", [3, 64]), ("token_embd.weight", "F16", [4, 32]),
      ("blk.0.q5_1.weight", "Q5_1", [3, 64]), ("blk.0.q4_0.weight", "Q4_0", [3, 64]),
      ("blk.0.four_axes", "F32", [8, 3, 1, 5]), ("output_norm.weight", "F32", [7]),
    ]
    #expect(file.tensors.map(\.name.text) == rows.map(\.0))
    #expect(file.tensors.map(\.format.name) == rows.map(\.1))
    #expect(file.tensors.map(\.shape.dimensions) == rows.map(\.2))
    #expect(try file.tensors[1].readAll() == (0..<288).map { UInt8($0 % 251) })
    var rowTwo = [UInt8](repeating: 0, count: 144)
    try rowTwo.withMutableRawSpan { (span) throws(FileError) in try file.tensors[1].read(rows: 1..<2, into: &span) }
    #expect(rowTwo == (144..<288).map { UInt8($0 % 251) })
  }

  @Test func everyValueType() throws {
    let metadata = try GGUFFile(Self.wholeFiles[2]).metadata
    let values: [(ByteString, MetadataValue, MetadataArray)] = [
      ("uint8", .uint8(255), .uint8([255, 1])), ("int8", .int8(-128), .int8([-128, 1])),
      ("uint16", .uint16(.max), .uint16([.max, 1])), ("int16", .int16(.min), .int16([.min, 1])),
      ("uint32", .uint32(.max), .uint32([.max, 1])), ("int32", .int32(.min), .int32([.min, 1])),
      ("uint64", .uint64(.max), .uint64([.max, 1])), ("int64", .int64(.min), .int64([.min, 1])),
      ("float32", .float32(-0.0), .float32([-0.0, 1])), ("float64", .float64(1e308), .float64([1e308, 1])),
      ("bool", .bool(false), .bool([false, true])), ("string", .string("h\u{e9}"), .string(["h\u{e9}", ""])),
    ]
    for (name, value, array) in values {
      #expect(metadata[ByteString("value." + name.text)] == value)
      #expect(metadata[ByteString("array." + name.text)] == .array(array))
    }
    #expect(metadata["array.nested"] == .array(.array([.string(["a", "b"]), .string(["c"])])))
    #expect(metadata.entries.first?.key == "general.architecture")
    #expect(metadata.entries.last?.key == "array.nested")
  }

  @Test func alignmentIsObeyed() throws {
    let file = try GGUFPart(Self.wholeFiles[3])
    #expect(file.alignment == 64 && file.dataOffset % 64 == 0)
  }

  /// From whichever part, the same model as the unsplit file.
  @Test(arguments: parts)
  func split(path: FilePath) throws {
    let whole = try GGUFFile(Self.wholeFiles[0])
    let file = try GGUFFile(path)
    #expect(file.parts.count == 3)
    #expect(file.metadata == whole.metadata)
    #expect(file.tensors.map(\.name) == whole.tensors.map(\.name))
    for (a, b) in zip(file.tensors, whole.tensors) { #expect(try a.readAll() == (try b.readAll())) }
  }

  @Test(arguments: ExpectedError.rows(of: "gguf"))
  func refused(row: ExpectedError) throws {
    do throws(GGUFError) {
      _ = try GGUFFile(row.path)
      Issue.record("accepted")
    } catch {
      #expect(error.rule.map(String.init) == row.rule, "\(error)")
      #expect(error.offset == row.offset, "\(error)")
      #expect(error.name == row.name, "\(error)")
      #expect(error.path == row.path)
      #expect(error.description.contains("[GGUF-\(row.rule)]"))
    }
  }

  @Test func everyReadingRuleHasABadFile() {
    #expect(Set(ExpectedError.rows(of: "gguf").map(\.rule)) == Set((1...22).map(String.init)))
  }

  @Test func limits() throws {
    var limits = Limits()
    limits.tensorCount = 7
    #expect(throws: GGUFError.self) { try GGUFFile(Self.wholeFiles[0], limits: limits) }
    limits = Limits()
    limits.headerByteCount = 512
    #expect(throws: GGUFError.self) { try GGUFFile(Self.wholeFiles[0], limits: limits) }
    limits = Limits()
    limits.arrayElementCount = 3
    #expect(throws: GGUFError.self) { try GGUFFile(Self.wholeFiles[0], limits: limits) }
  }

  @Test func truncatedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.wholeFiles + Self.parts {
      let file = try InputFile(good)
      let bytes = try file.read(at: 0, count: file.byteCount)
      let part = try GGUFPart(good)
      let end = try part.tensors.map { try #require($0.source as? FileTensorSource).offset + $0.byteCount }.max()
      // Padding after the last tensor carries nothing: a file without it is whole.
      try scratch.truncations(of: bytes, lengths: 0..<(end ?? part.dataOffset - 31)) { path, length in
        // `#expect` costs more than what it would watch here.
        if (try? GGUFPart(path)) != nil { Issue.record("\(good) cut to \(length) was accepted") }
      }
    }
  }

  /// Whatever a changed byte makes of the header, an accepted file's tensors lie inside it.
  @Test func corruptedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.wholeFiles {
      let file = try InputFile(good)
      let bytes = try file.read(at: 0, count: file.byteCount)
      let header = try GGUFPart(good).dataOffset
      try scratch.corruptions(of: bytes, range: 0..<header, values: corruptValues(of:)) { path, offset in
        guard let file = try? GGUFFile(path) else { return }
        for tensor in file.tensors where (try? tensor.readAll()) == nil {
          Issue.record("\(good), byte \(offset) changed: \(tensor.name) cannot be read")
        }
      }
    }
  }

  /// 100 GB that take no room on the disk: only the header may be read.
  @Test(.timeLimit(.minutes(1))) func hugeSparseFile() throws {
    let scratch = Scratch()
    let count = 100_000_000_000
    let tensor = TensorRef(
      name: "t", shape: .vector(count), format: .i8, source: MemoryTensorSource(bytes: [], rowByteCount: count))
    let layout = try GGUFLayout(metadata: Metadata(), tensors: [tensor]).files[0]
    let path = try scratch.write(layout.header, to: "sparse", byteCount: layout.byteCount)
    var file: GGUFFile?
    let time = try ContinuousClock().measure { file = try GGUFFile(path) }
    #expect(file?.tensors.first?.byteCount == count)
    #expect(time < .seconds(1))
  }

  /// A header is opened for every command, so its string arrays must not be slow.
  @Test func largeVocabulary() throws {
    let scratch = Scratch()
    var metadata = Metadata()
    let tokens = (0..<150_000).map { ByteString("token\($0)") }
    metadata["tokenizer.ggml.tokens"] = .array(.string(tokens))
    metadata["tokenizer.ggml.merges"] = .array(.string(tokens.map { ByteString("mer \($0)") }))
    metadata["tokenizer.ggml.scores"] = .array(.float32(tokens.indices.map { Float($0) }))
    metadata["tokenizer.ggml.token_type"] = .array(.int32(tokens.map { _ in 1 }))
    let path = try scratch.write(try GGUFLayout(metadata: metadata, tensors: []).files[0])
    // Processor time, which other work on the machine does not stretch as it does the clock.
    var best = Double.infinity
    for _ in 0..<5 {
      let start = Self.processorSeconds()
      let file = try GGUFFile(path)
      best = min(best, Self.processorSeconds() - start)
      #expect(file.metadata == metadata)
    }
    #expect(best < 0.1)
    if unsafe getenv("QUERN_TEST_TIMES") != nil { print("150,000 tokens and merges: \(best) s") }
  }

  private static func processorSeconds() -> Double {
    var time = timespec()
    _ = unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
