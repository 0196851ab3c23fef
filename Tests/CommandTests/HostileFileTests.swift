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
}
