import Bytes
import ContainerTesting
import Glibc
import SystemPackage
import Testing

/// Files that lie, as Fixtures/generators/make_hostile_fixtures.py makes them.
struct HostileFile: Sendable, CustomTestStringConvertible {
  let path: FilePath
  let words: [String]

  var testDescription: String { path.lastComponent?.string ?? "" }

  static let all: [HostileFile] = {
    let folder = fixtures.appending("hostile")
    guard let text = try? InputFile.contents(of: folder.appending("expected.json"), limit: 1 << 20),
      let rows = try? JSONValue.parse(text).array
    else { return [] }
    return rows.compactMap { row in
      guard let file = row["file"]?.string else { return nil }
      return HostileFile(
        path: folder.appending(file.text), words: (row["words"]?.array ?? []).compactMap { $0.string?.text })
    }
  }()
}

@Suite struct HostileFileTests {
  /// The address space of a run, which holds the program itself and all it maps: resident memory is far less.
  static let limited = "ulimit -v 140000; exec \"$@\""

  @Test("a file that lies is refused with the reason, in little memory and time", arguments: HostileFile.all)
  func refused(row: HostileFile) throws {
    let clock = ContinuousClock()
    let start = clock.now
    let outcome = try Quern.run(["inspect", row.path.string], shell: Self.limited)
    let seconds = clock.now - start
    #expect(outcome.status == 4 && !outcome.wasKilled, "\(outcome.errors)\(outcome.output)")
    for word in [row.testDescription] + row.words {
      #expect(outcome.errors.contains(word), "'\(word)' in: \(outcome.errors)")
    }
    #expect(outcome.errorLines.count == 1 && !outcome.errors.contains("Fatal"), "\(outcome.errors)")
    // A second of an idle machine's time; tests run side by side.
    #expect(seconds < .seconds(20), "\(seconds)")
  }

  @Test func everyFileHasARow() {
    let files = FileSystem.names(in: fixtures.appending("hostile")).filter { $0 != "expected.json" }
    #expect(Set(files) == Set(HostileFile.all.map(\.testDescription)) && files.count >= 40)
  }

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
    let outcome = try Quern.run(["inspect", path.string, "--json"], shell: Self.limited)
    #expect(outcome.status == 0, "\(outcome.errors)")
    #expect(try outcome.json()["fileBytes"]?.int == total)
    #expect(clock.now - begin < .seconds(20))
  }
}
