import Bytes
import IR
import Testing

@Suite struct PermutationTests {
  /// A tensor whose row r is filled with r.
  static func numbered(rows: Int, columns: Int, format: BlockFormat = .f16) throws -> TensorRef {
    let width = try #require(format.byteCount(elements: columns))
    let bytes = (0..<rows).flatMap { [UInt8](repeating: UInt8($0), count: width) }
    return TensorRef(
      name: "t", shape: .matrix(rows: rows, columns: columns), format: format,
      source: MemoryTensorSource(bytes: bytes, rowByteCount: width))
  }

  static func firstBytes(_ tensor: TensorRef) throws -> [UInt8] {
    let bytes = try tensor.readAll()
    return stride(from: 0, to: bytes.count, by: tensor.rowByteCount).map { bytes[$0] }
  }

  @Test("the orders are what Meta's and Hugging Face's files differ by")
  func orders() {
    #expect(RotaryOrder.pairs.rowOrder(dimension: 8) == [0, 4, 1, 5, 2, 6, 3, 7])
    #expect(RotaryOrder.halves.rowOrder(dimension: 8) == [0, 2, 4, 6, 1, 3, 5, 7])
    for dimension in [2, 8, 64, 128] {
      let there = RotaryOrder.pairs.rowOrder(dimension: dimension)
      let back = RotaryOrder.halves.rowOrder(dimension: dimension)
      #expect(there.indices.allSatisfy { there[back[$0]] == $0 })
    }
  }

  @Test("heads are reordered each by itself", arguments: [BlockFormat.f16, .q8_0])
  func reordered(format: BlockFormat) throws {
    let tensor = try Self.numbered(rows: 16, columns: 32, format: format).reorderedHeads(to: .pairs, headDimension: 8)
    #expect(try Self.firstBytes(tensor) == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15])
  }

  @Test("there and back again is the original, by source when lazy and by value when written")
  func undone() throws {
    let tensor = try Self.numbered(rows: 16, columns: 4)
    let there = tensor.reorderedHeads(to: .pairs, headDimension: 8)
    #expect(there.reorderedHeads(to: .halves, headDimension: 8).source is MemoryTensorSource)
    var written = there
    written.source = MemoryTensorSource(bytes: try there.readAll(), rowByteCount: there.rowByteCount)
    #expect(try written.reorderedHeads(to: .halves, headDimension: 8).readAll() == tensor.readAll())
    // Another head length does not undo it.
    #expect(there.reorderedHeads(to: .halves, headDimension: 4).source is RowPermutation)
  }

  @Test("any range of rows is what the whole has there")
  func ranges() throws {
    let tensor = try Self.numbered(rows: 24, columns: 4).reorderedHeads(to: .pairs, headDimension: 8)
    let all = try tensor.readAll()
    for first in 0...24 {
      for last in first...24 {
        var part = [UInt8](repeating: 0, count: (last - first) * tensor.rowByteCount)
        try part.withMutableRawSpan { (span) throws(FileError) in try tensor.read(rows: first..<last, into: &span) }
        #expect(part[...] == all[first * tensor.rowByteCount..<last * tensor.rowByteCount])
      }
    }
  }

  @Test("a bias moves with its rows")
  func vector() throws {
    let bytes = (0..<16).flatMap { index -> [UInt8] in [UInt8(index), 0, 0, 0] }
    let bias = TensorRef(
      name: "b", shape: .vector(16), format: .f32, source: MemoryTensorSource(bytes: bytes, rowByteCount: bytes.count))
    let there = bias.reorderedHeads(to: .pairs, headDimension: 8)
    let order = try there.readAll().enumerated().filter { $0.offset % 4 == 0 }.map(\.element)
    #expect(order == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15])
    #expect(try there.reorderedHeads(to: .halves, headDimension: 8).readAll() == bytes)
  }
}
