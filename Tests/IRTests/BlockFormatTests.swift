import IR
import Testing

@Suite struct BlockFormatTests {
  @Test("names and identifiers are unique, and find their row again")
  func table() {
    let all = BlockFormat.all
    #expect(Set(all.map { $0.name.uppercased() }).count == all.count)
    #expect(Set(all.compactMap(\.ggmlType)).count == all.compactMap(\.ggmlType).count)
    #expect(Set(all.compactMap(\.safetensorsName)).count == all.compactMap(\.safetensorsName).count)
    for format in all {
      #expect(BlockFormat.named(format.name.lowercased()) == format)
      if let type = format.ggmlType { #expect(BlockFormat.ggml(type) == format) }
      if let name = format.safetensorsName { #expect(BlockFormat.safetensors(name) == format) }
      #expect(format.ggmlType != nil || format.safetensorsName != nil, "\(format.name) is in no container")
      #expect(format.kind == .packed || format.elementsPerBlock == 1, "\(format.name)")
      #expect((format.kind == .packed) == (format.safetensorsName == nil), "\(format.name)")
      #expect(format.bitsPerElement <= 64 && format.bitsPerElement >= 1)
    }
    #expect(BlockFormat.ggml(4) == nil && BlockFormat.ggml(99) == nil && BlockFormat.named("q3") == nil)
  }

  @Test(
    "bytes of whole blocks",
    arguments: [
      (BlockFormat.f32, 3, 12), (.q4_0, 64, 36), (.q8_0, 32, 34), (.q6_K, 512, 420), (.q4_0, 0, 0), (.q4_0, 33, nil),
      (.q8_0, -32, nil), (.f64, Int.max, nil), (.f16, Int.max / 2, Int.max - 1),
    ] as [(BlockFormat, Int, Int?)])
  func bytes(format: BlockFormat, elements: Int, expected: Int?) {
    #expect(format.byteCount(elements: elements) == expected)
  }

  @Test func bits() {
    #expect(BlockFormat.q4_0.bitsPerElement == 4.5 && BlockFormat.q8_0.bitsPerElement == 8.5)
    #expect(BlockFormat.q6_K.bitsPerElement == 6.5625)
  }
}

@Suite struct ShapeTests {
  @Test(
    "rows, columns and elements",
    arguments: [([], 1, 1), ([5], 1, 5), ([3, 5], 3, 5), ([2, 3, 5], 6, 5), ([0, 5], 0, 5), ([5, 0], 5, 0)])
  func counts(dimensions: [Int], rows: Int, columns: Int) throws {
    let shape = try #require(Shape(dimensions))
    #expect(shape.rows == rows && shape.columns == columns && shape.elementCount == rows * columns)
  }

  @Test("impossible shapes", arguments: [[-1], [3, -5], [Int.max, 2], [1 << 32, 1 << 32]])
  func impossible(dimensions: [Int]) { #expect(Shape(dimensions) == nil) }
}
