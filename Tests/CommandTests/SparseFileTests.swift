import Bytes
import ContainerTesting
import Glibc
import SystemPackage
import Testing

/// A hundred gigabytes are listed at once and in little memory: nothing but headers is read.
@Suite struct SparseFileTests {
  @Test("a hundred gigabytes are listed at once", arguments: ["gguf", "safetensors", "npy", "bin"])
  func sparse(kind: String) throws {
    let scratch = Scratch()
    let rows = 1 << 20
    let columns = 25_600
    let byteCount = rows * columns * 4
    var start = ByteWriter()
    switch kind {
    case "gguf":
      start.append(bytes: Array("GGUF".utf8))
      start.append(UInt32(3))
      start.append(UInt64(1))
      start.append(UInt64(0))
      start.append(UInt64(1))
      start.append(bytes: Array("a".utf8))
      start.append(UInt32(2))
      start.append(UInt64(columns))
      start.append(UInt64(rows))
      start.append(UInt32(0))
      start.append(UInt64(0))
      start.pad(toMultipleOf: 32)
    case "safetensors":
      let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[\(rows),\(columns)],\"data_offsets\":[0,\(byteCount)]}}"
      start.append(UInt64(header.utf8.count))
      start.append(bytes: Array(header.utf8))
    case "npy":
      let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(rows), \(columns)), }\n"
      start.append(bytes: [0x93] + Array("NUMPY".utf8) + [1, 0])
      start.append(UInt16(header.utf8.count))
      start.append(bytes: Array(header.utf8))
    default:
      // llama2.c, version 0: its numbers give the length.
      let numbers = [8192, 28672, 80, 64, 64, 32000, 2048]
      for number in numbers { start.append(UInt32(number)) }
    }
    var total = start.count + byteCount
    if kind == "bin" {
      let (width, hidden, layers) = (8192, 28672, 80)
      let perLayer = 4 * width * width + 3 * width * hidden + 2 * width
      total = start.count + 4 * (32000 * width + layers * perLayer + width + 2048 * 128)
    }
    let path = try scratch.write(start.bytes, to: "sparse.\(kind)", byteCount: total)
    let clock = ContinuousClock()
    let begin = clock.now
    let outcome = try Quern.run(["inspect", path.string, "--json"], shell: HostileFileTests.limited)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try outcome.json()["fileBytes"]?.int == total)
    #expect(clock.now - begin < .seconds(20))
  }

  /// Those whose headers Fixtures/generators/make_sparse_fixtures.py made.
  static let cases: [String] = rows.compactMap { $0["name"]?.string?.text }

  private static let rows: [JSONValue] = {
    let path = fixtures.appending("sparse").appending("files.json")
    guard let text = try? InputFile.contents(of: path, limit: 1 << 20) else { return [] }
    return (try? JSONValue.parse(text).array) ?? []
  }()

  @Test func fourAreThere() { #expect(Self.cases == ["PyTorch", "ONNX", "TensorFlow", "HDF5"]) }

  @Test("a hundred gigabytes with their own headers are listed at once", arguments: cases)
  func made(name: String) throws {
    let row = try #require(Self.rows.first { $0["name"]?.string?.text == name })
    let scratch = Scratch()
    var paths: [FilePath] = []
    for file in row["files"]?.array ?? [] {
      let path = try scratch.write([], to: try #require(file["name"]?.string?.text), byteCount: file["byteCount"]?.int)
      let descriptor = try FileDescriptor.open(path, .writeOnly)
      try descriptor.closeAfter {
        for piece in file["pieces"]?.array ?? [] {
          let digits = piece["hex"]?.string?.bytes ?? []
          let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
          }
          try descriptor.writeAll(toAbsoluteOffset: Int64(piece["offset"]?.int ?? 0), bytes)
        }
      }
      paths.append(path)
    }
    let clock = ContinuousClock()
    let start = clock.now
    let outcome = try Quern.run(["inspect", paths[0].string, "--json"], shell: HostileFileTests.limited)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try outcome.json()["fileBytes"]?.int ?? 0 > 107_374_182_000)
    #expect(try outcome.json()["tensors"]?.array?.first?["shape"]?.array?.compactMap(\.int) == [1 << 20, 25_600])
    #expect(clock.now - start < .seconds(20))
  }
}
