import Bytes
import ContainerTesting
import FuzzedReaders
import SystemPackage
import Testing

/// What fuzzing found before, and the inputs by which it reaches furthest, read again: Fixtures/findings/FORMAT/FILE and
/// Fixtures/corpus/FORMAT.
@Suite struct FindingsTests {
  struct Input: Sendable, CustomTestStringConvertible {
    let format: String
    let path: FilePath
    var testDescription: String { "\(format)/\(path.lastComponent?.string ?? "")" }
  }

  static let inputs: [Input] = ["findings", "corpus"].flatMap { folder in
    let folder = fixtures.appending(folder)
    return FileSystem.names(in: folder).flatMap { format in
      FileSystem.names(in: folder.appending(format)).map {
        Input(format: format, path: folder.appending(format).appending($0))
      }
    }
  }

  @Test func everyReaderHasInputs() {
    #expect(Set(Self.inputs.map(\.format)).isSubset(of: FuzzedReaders.all.keys))
  }

  @Test(arguments: inputs)
  func isReadOrRefused(input: Input) throws {
    let reader = try #require(FuzzedReaders.all[input.format])
    let clock = ContinuousClock()
    let start = clock.now
    do { try reader(input.path) } catch { #expect(!"\(error)".isEmpty) }
    // A second of an idle machine's time; tests run side by side.
    #expect(clock.now - start < .seconds(20))
  }
}
