import Bytes
import ContainerTesting
import IR
import Safetensors
import SystemPackage
import Testing

@Suite struct SafetensorsReaderTests {
  static let good = fixtures.appending("safetensors").appending("good")
  static let goodFiles = ["every_type", "no_tensors", "reordered"].map { good.appending($0 + ".safetensors") }

  @Test func everyType() throws {
    let file = try SafetensorsFile(Self.goodFiles[0])
    #expect(file.metadata.entries.map(\.key) == ["format"])
    #expect(file.metadata["format"]?.string == "pt")
    let byName = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
    #expect(byName.count == 21)
    for (name, type) in [
      ("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16"), ("float64", "F64"), ("float8_e4m3fn", "F8_E4M3"),
      ("float8_e5m2", "F8_E5M2"), ("int8", "I8"), ("int16", "I16"), ("int32", "I32"), ("int64", "I64"), ("uint8", "U8"),
      ("uint16", "U16"), ("uint32", "U32"), ("uint64", "U64"), ("bool", "BOOL"),
    ] {
      let tensor = try #require(byName[ByteString("every." + name)])
      #expect(tensor.format.name == type)
      #expect(tensor.shape.dimensions == [2, 3])
      let low = name == "bool" ? 2 : 251
      #expect(try tensor.readAll() == (0..<tensor.byteCount).map { UInt8(($0 * 7 + name.utf8.count) % low) })
    }
    #expect(byName["scalar"]?.shape.dimensions == [])
    #expect(byName["empty"]?.shape.dimensions == [0, 4])
    #expect(byName["five.axes"]?.shape.dimensions == [1, 2, 1, 3, 2])
    // Canonically equal names are two tensors.
    #expect(byName["e\u{301}"] != nil && byName["\u{e9}"] != nil)
    #expect(byName["quote\"and\\backslash \u{e9}"]?.byteCount == 3)
  }

  @Test func headerOrderIsKept() throws {
    let file = try SafetensorsFile(Self.goodFiles[2])
    #expect(file.tensors.map(\.name) == ["b", "a"])
    #expect(try file.tensors[0].readAll() == [4, 5, 6, 7])
  }

  @Test func shards() throws {
    let index = try SafetensorsIndex(Self.good.appending("model.safetensors.index.json"))
    #expect(index.shards.count == 2)
    #expect(Set(index.tensors.map(\.name)) == ["a.weight", "a.bias", "b.weight"])
    #expect(index.metadata["format"]?.string == "pt")
  }

  @Test(arguments: ExpectedError.rows(of: "safetensors"))
  func refused(row: ExpectedError) throws {
    do throws(SafetensorsError) {
      if row.path.extension == "json" { _ = try SafetensorsIndex(row.path) } else { _ = try SafetensorsFile(row.path) }
      Issue.record("accepted")
    } catch {
      #expect(error.rule.map(String.init) == row.rule, "\(error)")
      #expect(error.offset == row.offset, "\(error)")
      #expect(error.name == row.name, "\(error)")
      #expect(error.path == row.path)
      #expect(error.description.contains("[SAFETENSORS-\(row.rule)]"))
    }
  }

  @Test func everyReadingRuleHasABadFile() {
    #expect(Set(ExpectedError.rows(of: "safetensors").map(\.rule)) == Set((1...16).map(String.init)))
  }

  @Test func truncatedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.goodFiles {
      let file = try InputFile(good)
      let bytes = try file.read(at: 0, count: file.byteCount)
      try scratch.truncations(of: bytes, lengths: 0..<bytes.count) { path, length in
        // `#expect` costs more than what it would watch here.
        if (try? SafetensorsFile(path)) != nil { Issue.record("\(good) cut to \(length) was accepted") }
      }
    }
  }

  /// Whatever a changed byte makes of the header, an accepted file's tensors lie inside it.
  @Test func corruptedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.goodFiles {
      let file = try InputFile(good)
      let bytes = try file.read(at: 0, count: file.byteCount)
      try scratch.corruptions(of: bytes, range: 0..<min(bytes.count, 2048), values: corruptValues(of:)) {
        path, offset in
        guard let file = try? SafetensorsFile(path) else { return }
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
    let header = Array(#"{"t":{"dtype":"U8","shape":[\#(count)],"data_offsets":[0,\#(count)]}}"#.utf8)
    var bytes = ByteWriter()
    bytes.append(UInt64(header.count))
    bytes.append(bytes: header)
    let path = try scratch.write(bytes.bytes, to: "sparse", byteCount: bytes.count + count)
    var file: SafetensorsFile?
    let time = try ContinuousClock().measure { file = try SafetensorsFile(path) }
    #expect(file?.tensors.first?.byteCount == count)
    #expect(time < .seconds(1))
    // A header length that would be believed elsewhere, over nothing but zeros.
    bytes = ByteWriter()
    bytes.append(UInt64(90_000_000))
    let zeros = try scratch.write(bytes.bytes, to: "zeros", byteCount: count)
    #expect(throws: SafetensorsError.invalidHeader(path: zeros, reason: "does not begin with '{'", offset: 8)) {
      try SafetensorsFile(zeros)
    }
  }
}
