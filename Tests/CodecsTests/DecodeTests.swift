import Codecs
import IR
import Testing

@Suite struct DecodeTests {
  static let formats = ReferenceCodec.all.map(\.format)
  /// Packed formats that the gguf package does not decode.
  static let withoutVectors: Set<BlockFormat> = [.q8_1, .q8_K, .q1_0]

  @Test(arguments: formats.filter { $0.kind == .packed })
  func twinGivesKnownAnswers(format: BlockFormat) throws {
    guard !Self.withoutVectors.contains(format) else { return }
    let vectors = try fixture("vectors/codecs/\(format.name).decode")
    let twin = try #require(reference(format))
    let record = format.bytesPerBlock + 4 * format.elementsPerBlock
    #expect(vectors.count > 0 && vectors.count % record == 0)
    for start in stride(from: 0, to: vectors.count, by: record) {
      let block = Array(vectors[start..<start + format.bytesPerBlock])
      let expected = floats(vectors[start + format.bytesPerBlock..<start + record])
      #expect(bits(twin.decode(block)) == bits(expected), "record \(start / record)")
    }
  }

  @Test(arguments: formats)
  func everyTableEqualsTheTwin(format: BlockFormat) throws {
    let twin = try #require(reference(format))
    var noise = Noise(7)
    // Random bits hold every kind of scale; block counts around the kernels' groups of sixteen.
    for blockCount in [0, 1, 7, 15, 16, 17, 33, 100] {
      let bytes = noise.bytes(blockCount * format.bytesPerBlock)
      let expected = bits(twin.decodeAll(bytes))
      for (table, codec) in codecs(of: format) {
        #expect(
          bits(codec.decode(bytes, count: blockCount * format.elementsPerBlock)) == expected, "\(table) \(blockCount)")
      }
    }
  }

  @Test(arguments: [BlockFormat.f16, .bf16, .i16, .u16])
  func everyPatternOfSixteenBits(format: BlockFormat) throws {
    let all = (0...0xffff).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
    let twin = try #require(reference(format))
    let expected = twin.decodeAll(all)
    for (table, codec) in codecs(of: format) {
      // Bit for bit, NaNs with their payloads.
      let decoded = codec.decode(all, count: 0x10000)
      #expect(decoded.map(\.bitPattern) == expected.map(\.bitPattern), "\(table)")
      if codec.canEncode { #expect(codec.encode(decoded).bytes == twin.encodeAll(expected), "\(table) encoded again") }
    }
  }

  @Test func everyReadableFormatHasATwin() {
    for format in BlockFormat.all {
      #expect(codecs(of: format).isEmpty == (reference(format) == nil), "\(format.name)")
    }
  }
}
