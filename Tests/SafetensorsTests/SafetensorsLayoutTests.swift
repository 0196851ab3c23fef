import Bytes
import ContainerTesting
import IR
import Safetensors
import SystemPackage
import Testing

@Suite struct SafetensorsLayoutTests {
  private static func tensor(_ name: String, _ format: BlockFormat, _ dimensions: [Int]) throws -> TensorRef {
    let shape = try #require(Shape(dimensions))
    let rowByteCount = try #require(format.byteCount(elements: shape.columns))
    let bytes = (0..<rowByteCount * shape.rows).map { UInt8(truncatingIfNeeded: $0 * 13 + name.utf8.count) }
    return TensorRef(
      name: ByteString(name), shape: shape, format: format,
      source: MemoryTensorSource(bytes: bytes, rowByteCount: rowByteCount))
  }

  /// Read, laid out, written, read: nothing changes, and doing it again changes no byte.
  @Test(arguments: SafetensorsReaderTests.goodFiles)
  func roundTrip(path: FilePath) throws {
    let scratch = Scratch()
    let original = try SafetensorsFile(path)
    let layout = try SafetensorsLayout(tensors: original.tensors, metadata: original.metadata)
    #expect(layout.files.count == 1 && layout.index == nil)
    let first = try SafetensorsFile(try scratch.write(layout.files[0]))
    #expect(first.metadata == original.metadata)
    #expect(Set(first.tensors.map(\.name)) == Set(original.tensors.map(\.name)))
    for tensor in first.tensors {
      let before = try #require(original.tensors.first { $0.name == tensor.name })
      #expect(tensor.shape == before.shape && tensor.format == before.format)
      #expect(try tensor.readAll() == (try before.readAll()))
    }
    let second = try SafetensorsLayout(tensors: first.tensors, metadata: first.metadata)
    #expect(second.files[0].header == layout.files[0].header)
  }

  @Test func wideTypesComeFirstAndAligned() throws {
    let tensors = [
      try Self.tensor("a", .u8, [3]), try Self.tensor("b", .f32, [2]), try Self.tensor("c", .f16, [5]),
      try Self.tensor("d", .f32, [1]), try Self.tensor("e", .i64, [1]),
    ]
    let layout = try SafetensorsLayout(tensors: tensors, metadata: Metadata())
    #expect(layout.files[0].placements.map(\.tensor.name) == ["e", "b", "d", "c", "a"])
    for placement in layout.files[0].placements {
      #expect(placement.offset % placement.tensor.format.bytesPerBlock == 0)
    }
  }

  @Test func shards() throws {
    let scratch = Scratch()
    let tensors = try (0..<5).map { try Self.tensor("t\($0)", .f32, [$0 == 3 ? 20 : 4]) }
    let layout = try SafetensorsLayout(tensors: tensors, metadata: Metadata(), maximumShardBytes: 32)
    #expect(layout.files.map(\.name) == (1...4).map { "model-0000\($0)-of-00004.safetensors" })
    #expect(layout.files.map { $0.placements.map(\.tensor.name) } == [["t0", "t1"], ["t2"], ["t3"], ["t4"]])
    for file in layout.files { _ = try scratch.write(file) }
    let path = try scratch.write(try #require(layout.index), to: SafetensorsLayout.indexName)
    let index = try SafetensorsIndex(path)
    #expect(index.tensors.map(\.name) == tensors.map(\.name))
    for (read, written) in zip(index.tensors, tensors) { #expect(try read.readAll() == (try written.readAll())) }
    #expect(try SafetensorsLayout(tensors: tensors, metadata: Metadata(), maximumShardBytes: 1000).index == nil)
  }

  @Test func refused() throws {
    let plain = try Self.tensor("t", .f32, [32])
    let packed = try Self.tensor("q", .q4_0, [32])
    let reserved = try Self.tensor("__metadata__", .f32, [32])
    var binary = plain
    binary.name = ByteString(bytes: [0xFF])
    var numbers = Metadata()
    numbers["n"] = .uint32(1)
    let rows: [([TensorRef], Metadata, SafetensorsError)] = [
      ([plain, packed], Metadata(), .cannotStore(tensor: "q", format: .q4_0)),
      ([plain, plain], Metadata(), .invalidName(tensor: "t", reason: "given twice")),
      ([reserved], Metadata(), .invalidName(tensor: "__metadata__", reason: "reserved")),
      ([binary], Metadata(), .invalidName(tensor: binary.name, reason: "not UTF-8")),
      ([plain], numbers, .metadataNotText(key: "n")),
    ]
    for (tensors, metadata, error) in rows {
      #expect(throws: error) { try SafetensorsLayout(tensors: tensors, metadata: metadata) }
    }
  }

  /// For Tests/Peers/check_containers.py, which reads what this writes with the formats' own packages.
  @Test(.enabled(if: peerFolder != nil)) func writeForPeers() throws {
    for path in SafetensorsReaderTests.goodFiles {
      let scratch = Scratch(under: try #require(peerFolder), name: "safetensors-\(path.stem ?? "")")
      let file = try SafetensorsFile(path)
      let layout = try SafetensorsLayout(tensors: file.tensors, metadata: file.metadata)
      _ = try scratch.write(layout.files[0])
    }
  }
}
