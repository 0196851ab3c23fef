import Bytes
import ContainerTesting
import IR
import NumPy
import SystemPackage
import Testing

@Suite struct NumPyReaderTests {
  static let good = fixtures.appending("numpy").appending("good")
  static let goodFiles = ["every_type.npz", "matrix.npy"].map { good.appending($0) }

  @Test func everyType() throws {
    let file = try NumPyFile(Self.goodFiles[0])
    let byName = Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
    for (name, format) in [
      ("f4", BlockFormat.f32), ("f2", .f16), ("f8", .f64), ("i1", .i8), ("i2", .i16), ("i4", .i32), ("i8", .i64),
      ("u1", .u8), ("u2", .u16), ("u4", .u32), ("u8", .u64), ("b1", .bool),
    ] {
      let tensor = try #require(byName[ByteString("every." + name)])
      #expect(tensor.format == format && tensor.shape.dimensions == [2, 3])
    }
    #expect(try byName["every.i2"]?.readAll() == [0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0])
    #expect(byName["scalar"]?.shape.dimensions == [])
    #expect(try byName["scalar"]?.readAll() == [0, 0, 0xE0, 0x40])
    #expect(byName["empty"]?.shape.dimensions == [0, 4])
    #expect(byName["version_2"]?.shape.dimensions == [3])
    #expect(byName["python_2"]?.shape.dimensions == [2, 1])
    #expect(byName["folder/vector"]?.byteCount == 20)
    // Stored with the first axis contiguous, read with the last.
    #expect(try byName["fortran"]?.readAll() == (0..<24).flatMap { [UInt8($0), 0, 0, 0] })
  }

  @Test func singleArray() throws {
    let file = try NumPyFile(Self.goodFiles[1])
    #expect(file.tensors.map(\.name) == ["matrix"])
    #expect(file.tensors[0].shape.dimensions == [2, 3])
  }

  @Test(arguments: ExpectedError.rows(of: "numpy"))
  func refused(row: ExpectedError) throws {
    do throws(NumPyError) {
      _ = try NumPyFile(row.path)
      Issue.record("accepted")
    } catch {
      #expect(error.ruleName == row.rule, "\(error)")
      #expect(error.offset == row.offset, "\(error)")
      #expect(error.name == row.name, "\(error)")
      #expect(error.description.contains("[\(row.rule)]"))
    }
  }

  @Test func everyRuleHasABadFile() {
    #expect(
      Set(ExpectedError.rows(of: "numpy").map(\.rule)).isSuperset(of: (1...7).map { "NUMPY-\($0)" }))
  }

  @Test func truncatedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.goodFiles {
      let bytes = try InputFile.contents(of: good, limit: 1 << 20)
      try scratch.truncations(of: bytes, lengths: 0..<bytes.count) { path, length in
        if (try? NumPyFile(path)) != nil { Issue.record("\(good) cut to \(length) was accepted") }
      }
    }
  }

  /// Whatever a changed byte makes of the file, an accepted file's tensors lie inside it.
  @Test func corruptedAnywhere() throws {
    let scratch = Scratch()
    for good in Self.goodFiles {
      let bytes = try InputFile.contents(of: good, limit: 1 << 20)
      try scratch.corruptions(of: bytes, range: 0..<bytes.count, values: { [$0 ^ 1, $0 ^ 0x80] }) { path, offset in
        guard let file = try? NumPyFile(path) else { return }
        for tensor in file.tensors where (try? tensor.readAll()) == nil {
          Issue.record("\(good), byte \(offset) changed: \(tensor.name) cannot be read")
        }
      }
    }
  }
}
