import Bytes
import Testing

@Suite struct ZstandardTests {
  /// "quern\n" forty times, by `zstd -c`, which found the repetition.
  static let frame: [UInt8] = [
    0x28, 0xB5, 0x2F, 0xFD, 0x04, 0x58, 0x6D, 0x00, 0x00, 0x30, 0x71, 0x75, 0x65, 0x72, 0x6E, 0x0A, 0x01, 0x00, 0xE7,
    0x50, 0xA5, 0x08, 0x1B, 0xC2, 0xAD, 0x7A,
  ]

  @Test func expands() throws {
    let text = Array(String(repeating: "quern\n", count: 40).utf8)
    #expect(Zstandard.isCompressed(Self.frame))
    #expect(try Zstandard.expand(Self.frame, limit: text.count) == text)
    #expect(try Zstandard.expand(Self.frame + Self.frame, limit: 1000) == text + text)
    #expect(!Zstandard.isCompressed(text))
  }

  @Test func bombsAreRefused() {
    #expect(throws: ZstandardError.tooLarge(limit: 239)) { try Zstandard.expand(Self.frame, limit: 239) }
  }

  @Test func everyTruncationIsAnError() {
    for count in 4..<Self.frame.count {
      #expect(throws: ZstandardError.self) { try Zstandard.expand(Array(Self.frame[..<count]), limit: 1000) }
    }
  }
}
