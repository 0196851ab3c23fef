import Bytes
import Codecs
import ContainerTesting
import Conversion
import IR
import Kernels
import SystemPackage
import Testing

/// Every container against its own library's answers; see Fixtures/generators/make_container_fixtures.py.
@Suite struct ContainerTests {
  static let folder = fixtures.appending("containers")
  static let suffix = ".answer.safetensors"
  static let names = FileSystem.names(in: folder).filter { $0.hasSuffix(suffix) }.map {
    String($0.dropLast(suffix.count))
  }

  @Test(arguments: names)
  func sameTensors(name: String) throws {
    let checkpoint = try Checkpoint(Self.folder.appending(name))
    let answer = try Checkpoint(Self.folder.appending(name + Self.suffix))
    let expected = Dictionary(uniqueKeysWithValues: answer.tensors.map { ($0.name, $0) })
    #expect(checkpoint.tensors.map(\.name).sorted() == answer.tensors.map(\.name).sorted())
    for tensor in checkpoint.tensors {
      guard let wanted = expected[tensor.name] else { continue }
      #expect(tensor.shape == wanted.shape && tensor.format == wanted.format, "\(tensor.name): \(tensor.shape)")
      let bytes = try tensor.readAll()
      #expect(bytes == (try wanted.readAll()), "\(tensor.name)")
      var byRow: [UInt8] = []
      for start in stride(from: 0, to: tensor.shape.rows, by: 3) {
        byRow += try tensor.bytes(rows: start..<min(start + 3, tensor.shape.rows))
      }
      #expect(byRow == bytes, "\(tensor.name)")
    }
  }

  /// Against the order in which a file's own decoder would run.
  @Test(arguments: names)
  func sameBackwards(name: String) throws {
    let checkpoint = try Checkpoint(Self.folder.appending(name))
    let answer = try Checkpoint(Self.folder.appending(name + Self.suffix))
    let expected = Dictionary(uniqueKeysWithValues: answer.tensors.map { ($0.name, $0) })
    for tensor in checkpoint.tensors.reversed() {
      guard let bytes = try expected[tensor.name]?.readAll() else { continue }
      for row in (0..<tensor.shape.rows).reversed() {
        let wanted = bytes[row * tensor.rowByteCount..<(row + 1) * tensor.rowByteCount]
        #expect(try tensor.bytes(rows: row..<row + 1) == Array(wanted), "\(tensor.name) row \(row)")
      }
    }
  }

  /// Blocks of ggjt 3 are ggml's of today, and stay packed: llama.cpp's own values of them.
  @Test func packedTensorsDecode() throws {
    let folder = fixtures.appending("ggjt3")
    let names = FileSystem.names(in: folder).filter { $0.hasSuffix(".bin") }
    #expect(names.count == 5)
    for name in names {
      let wanted = try Checkpoint(folder.appending(name + ".values.safetensors")).tensors
      for tensor in try Checkpoint(folder.appending(name)).tensors {
        let answer = try #require(wanted.first { $0.name == tensor.name })
        #expect(try decoded(tensor) == (try answer.floats()), "\(name): \(tensor.name)")
      }
    }
  }

  private func decoded(_ tensor: TensorRef) throws -> [Float] {
    guard !tensor.format.isPlain else { return try tensor.floats() }
    let codec = try #require(Codec.for(tensor.format, kernels: Kernels.best()))
    let bytes = try tensor.readAll()
    var values = [Float](repeating: 0, count: tensor.shape.elementCount)
    var span = values.mutableSpan
    codec.decode(bytes.rawSpan, into: &span)
    return values
  }

  @Test func everyContainerHasAnAnswer() throws {
    var seen: Set<Container> = [.safetensors, .gguf, .configuration]
    for name in Self.names { seen.insert(try Checkpoint(Self.folder.appending(name)).container) }
    #expect(seen == Set(Container.allCases))
    #expect(Set(ContainerTable.rows.map(\.container)) == Set(Container.allCases).subtracting([.configuration]))
  }

  @Test func readmeShowsTheTable() throws {
    let readme = try InputFile.contents(of: fixtures.removingLastComponent().appending("README.md"), limit: 1 << 20)
    #expect(
      String(decoding: readme, as: UTF8.self).contains(ContainerTable.markdown),
      "put the output of `quern containers` into README.md")
  }

  @Test func trainingStateIsNamed() throws {
    let checkpoint = try Checkpoint(Self.folder.appending("training.pt"))
    #expect(checkpoint.notes.contains { $0.contains("optimizer_state_dict") })
  }

  /// Whatever a changed byte makes of a file: an error, or tensors that can be read or say why not; never a trap.
  @Test(arguments: names)
  func corruptedAnywhere(name: String) throws {
    let path = Self.folder.appending(name)
    guard !FileSystem.isDirectory(path) else { return }
    let scratch = Scratch()
    for other in FileSystem.names(in: Self.folder) where other != name && other.hasPrefix(path.stem ?? name) {
      guard !other.hasSuffix(Self.suffix) else { continue }
      let bytes = try InputFile.contents(of: Self.folder.appending(other), limit: 1 << 20)
      _ = try scratch.write(bytes, to: other)
    }
    let bytes = try InputFile(path).read(at: 0, count: min(InputFile(path).byteCount, 1 << 20))
    // Structures lie at the beginning and at the end.
    let places = Array(0..<min(600, bytes.count)) + Array(max(600, bytes.count - 300)..<max(600, bytes.count))
    for place in places {
      for value in [bytes[place] ^ 0x80, bytes[place] ^ 1, 0xFF] where value != bytes[place] {
        var changed = bytes
        changed[place] = value
        let target = try scratch.write(changed, to: name)
        guard let checkpoint = try? Checkpoint(target) else { continue }
        for tensor in checkpoint.tensors where tensor.byteCount < 1 << 20 { _ = try? tensor.readAll() }
      }
    }
  }

  @Test(arguments: names)
  func truncatedAnywhere(name: String) throws {
    let path = Self.folder.appending(name)
    guard !FileSystem.isDirectory(path) else { return }
    let scratch = Scratch()
    let bytes = try InputFile(path).read(at: 0, count: InputFile(path).byteCount)
    let lengths = Array(stride(from: 0, to: bytes.count, by: max(1, bytes.count / 300)))
    for length in lengths {
      let target = try scratch.write(Array(bytes[..<length]), to: name)
      guard let checkpoint = try? Checkpoint(target) else { continue }
      for tensor in checkpoint.tensors where tensor.byteCount < 1 << 20 { _ = try? tensor.readAll() }
    }
  }
}
