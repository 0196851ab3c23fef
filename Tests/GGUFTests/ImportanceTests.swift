import Bytes
import ContainerTesting
import GGUF
import IR
import SystemPackage
import Testing

@Suite struct ImportanceTests {
  static let folder = fixtures.appending("importance")

  @Test("an imatrix by llama-imatrix is read, and written byte for byte")
  func sameBytes() throws {
    let path = Self.folder.appending("kjv.gguf")
    let importance = try ImportanceFile.read(path)
    #expect(importance.entries.count == 42 && importance.datasets == ["calib.txt"])
    #expect(importance.chunkCount == 4 && importance.chunkSize == 256)
    let entry = try #require(importance["blk.0.ffn_down.weight"])
    #expect(entry.counts == [1024] && entry.sums.allSatisfy { $0 > 0 })
    #expect(try ImportanceFile.serialized(importance) == InputFile.contents(of: path, limit: 1 << 20))
  }

  @Test("the old kind says the same")
  func legacy() throws {
    let new = try ImportanceFile.read(Self.folder.appending("kjv.gguf"))
    let old = try ImportanceFile.read(Self.folder.appending("kjv.dat"))
    #expect(old.datasets == ["calib.txt"] && old.chunkCount == 4)
    #expect(Set(old.entries.keys) == Set(new.entries.keys))
    for (name, entry) in new.entries {
      for (a, b) in zip(entry.meanSquares, old[name]?.meanSquares ?? []) { #expect(abs(a - b) <= 1e-5 * a) }
    }
  }

  @Test("weights follow the tensor's shape, and are never zero")
  func weights() throws {
    var importance = Importance()
    importance["experts"] = .init(sums: [8, 0, 0, 0, 5, 5], counts: [2, 0, 1])
    let shape = try #require(Shape([3, 7, 2]))
    let weights = try #require(importance.weights(of: "experts", shape: shape))
    #expect(weights == [4, 2e-4, 1, 1, 5, 5])
    #expect(importance.weights(of: "experts", shape: .matrix(rows: 7, columns: 2)) == nil)
    #expect(importance.weights(of: "other", shape: shape) == nil)
  }

  @Test("files that are no imatrix say so", arguments: 0..<6)
  func refusals(row: Int) throws {
    let scratch = Scratch()
    let gguf = try InputFile.contents(of: Self.folder.appending("kjv.gguf"), limit: 1 << 20)
    let dat = try InputFile.contents(of: Self.folder.appending("kjv.dat"), limit: 1 << 20)
    var negative = Importance()
    negative["a"] = .init(sums: [-1, 2], counts: [1])
    let bytes: [[UInt8]] = [
      [], Array(gguf.prefix(3000)), Array(dat.prefix(3000)), [0xff, 0xff, 0xff, 0x7f] + dat,
      try ImportanceFile.serialized(negative), Array("a text, no imatrix at all".utf8),
    ]
    let path = try scratch.write(bytes[row], to: "imatrix")
    #expect(throws: ImportanceError.self) { try ImportanceFile.read(path) }
  }

  @Test("a model is no imatrix")
  func model() throws {
    let scratch = Scratch()
    var metadata = Metadata()
    metadata["general.architecture"] = .string("llama")
    let layout = try GGUFLayout(metadata: metadata, tensors: []).files[0]
    let path = try scratch.write(layout.header, to: "model.gguf")
    #expect(throws: ImportanceError.notImportance(path: path)) { try ImportanceFile.read(path) }
  }
}
