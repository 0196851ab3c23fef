import Archives
import Bytes
import ContainerTesting
import IR
import PyTorch
import SystemPackage
import Testing

@Suite struct PyTorchReaderTests {
  static let good = fixtures.appending("pytorch").appending("good")
  static let models = ["zip", "protocol_4", "legacy"].map { good.appending($0 + ".bin") }
  static let goodFiles = models + ["training", "legacy_views"].map { good.appending($0 + ".bin") }

  /// The fixtures' storages hold the bytes 0, 1, 2, …, so a tensor's bytes tell where they were read. Rows: name, type,
  /// shape, and the elements' places in their storage.
  private static let rows: [(String, String, [Int], [Int])] = [
    ("every.float", "F32", [2, 3], Array(0..<6)), ("every.half", "F16", [2, 3], Array(0..<6)),
    ("every.bfloat16", "BF16", [2, 3], Array(0..<6)), ("every.double", "F64", [2, 3], Array(0..<6)),
    ("every.long", "I64", [2, 3], Array(0..<6)), ("every.int", "I32", [2, 3], Array(0..<6)),
    ("every.short", "I16", [2, 3], Array(0..<6)), ("every.char", "I8", [2, 3], Array(0..<6)),
    ("every.byte", "U8", [2, 3], Array(0..<6)),
    ("view.transposed", "I32", [4, 6], (0..<24).map { $0 / 6 + $0 % 6 * 4 }),
    ("view.permuted", "I32", [2, 3, 4], (0..<24).map { $0 / 12 * 4 + $0 / 4 % 3 * 8 + $0 % 4 }),
    ("view.columns", "I32", [4, 2], [3, 4, 9, 10, 15, 16, 21, 22]), ("view.tied", "I32", [4, 6], Array(0..<24)),
    ("view.reversed_vector", "I32", [4], [0, 6, 12, 18]), ("view.one_row", "I32", [1, 4], [20, 21, 22, 23]),
    ("scalar", "F32", [], [0]), ("empty", "F16", [0, 4], []), ("parameter", "F32", [2], [0, 1]),
    ("from_type", "F32", [2], [0, 1]), ("size_object", "F32", [2], [0, 1]),
  ]

  @Test(arguments: models)
  func tensors(path: FilePath) throws {
    let file = try PyTorchFile(path)
    for (name, type, dimensions, places) in Self.rows {
      let tensor = try #require(file.tensors.first { $0.name == ByteString(name) }, "\(name)")
      #expect(tensor.format.name == type, "\(name)")
      #expect(tensor.shape.dimensions == dimensions, "\(name)")
      let width = tensor.format.bytesPerBlock
      let expected = places.flatMap { place in (0..<width).map { UInt8(truncatingIfNeeded: place * width + $0) } }
      #expect(try tensor.readAll() == expected, "\(name)")
      // Row by row, the same.
      var byRow: [UInt8] = []
      for row in 0..<tensor.shape.rows {
        var bytes = [UInt8](repeating: 0, count: tensor.rowByteCount)
        try bytes.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: row..<row + 1, into: &span) }
        byRow += bytes
      }
      #expect(byRow == expected, "\(name)")
    }
    #expect(try file.tensors.first { $0.name == "every.bool" }?.readAll() == [0, 1, 0, 1, 0, 1])
    #expect(file.tensors.first?.name == "every.float")
  }

  @Test func laterTypesAndOtherValues() throws {
    let file = try PyTorchFile(Self.models[0])
    #expect(file.tensors.first { $0.name == "v3.float8_e4m3fn" }?.format == .f8e4m3)
    #expect(file.tensors.first { $0.name == "v3.uint16" }?.format == .u16)
    #expect(file.metadata["step"] == .int64(7) && file.metadata["rate"] == .float64(0.5))
    #expect(file.metadata["note"] == .string("h\u{e9}") && file.metadata["done"] == .bool(true))
    #expect(file.otherKeys == ["config"])
  }

  @Test func dictionaryInsideADictionary() throws {
    #expect(try PyTorchFile(Self.good.appending("training.bin")).tensors.map(\.name) == ["weight"])
  }

  /// Before PyTorch 0.4: element 1 of a view that begins at element 4.
  @Test func viewsOfStorages() throws {
    let file = try PyTorchFile(Self.good.appending("legacy_views.bin"))
    #expect(try file.tensors.first?.readAll() == (20..<28).map { UInt8($0) })
  }

  @Test func shards() throws {
    let index = try PyTorchIndex(Self.good.appending(PyTorchIndex.fileName))
    #expect(index.tensors.map(\.name) == ["a.weight", "b.weight"])
  }

  @Test(arguments: ExpectedError.rows(of: "pytorch"))
  func refused(row: ExpectedError) throws {
    do throws(PyTorchError) {
      if row.path.extension == "json" { _ = try PyTorchIndex(row.path) } else { _ = try PyTorchFile(row.path) }
      Issue.record("accepted")
    } catch {
      #expect(error.ruleName == row.rule, "\(error)")
      #expect(error.offset == row.offset, "\(error)")
      #expect(error.name == row.name, "\(error)")
      #expect(error.description.contains("[\(row.rule)]"))
    }
  }

  @Test func everyRuleHasABadFile() {
    let limits: Set = ["PYTORCH-9", "PICKLE-8"]
    let rules = (1...12).map { "PYTORCH-\($0)" } + (1...8).map { "PICKLE-\($0)" } + (1...6).map { "ZIP-\($0)" }
    #expect(Set(ExpectedError.rows(of: "pytorch").map(\.rule)).union(limits) == Set(rules))
  }

  @Test func limits() {
    var limits = Limits()
    limits.tensorCount = 20
    #expect(throws: PyTorchError.self) { try PyTorchFile(Self.models[0], limits: limits) }
    limits = Limits()
    limits.tensorCount = 19
    #expect(throws: PyTorchError.limitExceeded(path: Self.models[2], item: "tensors", limit: 19)) {
      try PyTorchFile(Self.models[2], limits: limits)
    }
    limits = Limits()
    limits.pickleNodeCount = 100
    do throws(PyTorchError) {
      _ = try PyTorchFile(Self.models[0], limits: limits)
      Issue.record("accepted")
    } catch {
      #expect(error.ruleName == "PICKLE-8")
    }
  }

  @Test func truncatedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.goodFiles {
      let bytes = try InputFile.contents(of: good, limit: 1 << 20)
      try scratch.truncations(of: bytes, lengths: 0..<bytes.count) { path, length in
        if (try? PyTorchFile(path)) != nil { Issue.record("\(good) cut to \(length) was accepted") }
      }
    }
  }

  /// Whatever a changed byte makes of the file, an accepted file's tensors lie inside it.
  @Test func corruptedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.goodFiles {
      let bytes = try InputFile.contents(of: good, limit: 1 << 20)
      try scratch.corruptions(of: bytes, range: 0..<bytes.count, values: { [$0 ^ 1, $0 ^ 0x80] }) { path, offset in
        guard let file = try? PyTorchFile(path) else { return }
        for tensor in file.tensors where (try? tensor.readAll()) == nil {
          Issue.record("\(good), byte \(offset) changed: \(tensor.name) cannot be read")
        }
      }
    }
  }
}
