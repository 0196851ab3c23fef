import Archives
import Bytes
import ContainerTesting
import SystemPackage
import Testing

@Suite struct InflateTests {
  /// Runs of 1033 equal bytes, in one block of fixed codes: a literal and four matches of 258 bytes at distance 1.
  struct Runs {
    let count: Int
    static let runByteCount = 1 + 4 * 258

    var byteCount: Int { count * Self.runByteCount }
    func byte(at offset: Int) -> UInt8 { UInt8(offset / Self.runByteCount * 7 % 144) }

    func compressed() -> [UInt8] {
      var bytes: [UInt8] = []
      var bits: UInt64 = 0
      var bitCount = 0
      /// Codes go in with their first bit lowest.
      func put(_ code: Int, _ length: Int) {
        for place in (0..<length).reversed() {
          bits |= UInt64(code >> place & 1) << UInt64(bitCount)
          bitCount += 1
        }
        while bitCount >= 8 {
          bytes.append(UInt8(truncatingIfNeeded: bits))
          bits >>= 8
          bitCount -= 8
        }
      }
      put(0b110, 3)
      for run in 0..<count {
        put(0x30 + run * 7 % 144, 8)
        for _ in 0..<4 { put(0xC5 << 5, 13) }
      }
      put(0, 7)
      if bitCount > 0 { put(0, 8 - bitCount) }
      return bytes
    }
  }

  @Test func wholeInMemory() throws {
    let runs = Runs(count: 500)
    let expanded = try Inflate.raw(runs.compressed(), limit: runs.byteCount)
    #expect(expanded == (0..<runs.byteCount).map(runs.byte))
    #expect(throws: Inflate.Fault.self) { try Inflate.raw(runs.compressed(), limit: runs.byteCount - 1) }
  }

  @Test func everyTruncationIsAnError() {
    let whole = Runs(count: 20).compressed()
    for count in 0..<whole.count {
      #expect(throws: Inflate.Fault.self, "\(count)") { try Inflate.raw(Array(whole[..<count]), limit: 1 << 20) }
    }
  }

  @Test("a compressed part of a file reads alike from any place in any order")
  func anyOrder() throws {
    let runs = Runs(count: 30_000)
    let compressed = runs.compressed()
    let scratch = Scratch()
    let path = try scratch.write([1, 2, 3] + compressed + [4], to: "part")
    let part = InflateDecoder(try InputFile(path), range: 3..<3 + compressed.count)
    let file = InputFile(part, byteCount: runs.byteCount, path: path)
    // Scattered, the same in every run.
    var places = (0..<60).map { $0 * 7_919_993 % (runs.byteCount - 3000) }
    places += [runs.byteCount - 3000, 0, runs.byteCount / 2, 0]
    for place in places {
      let bytes = try file.read(at: place, count: 3000)
      #expect(bytes == (place..<place + 3000).map(runs.byte), "at \(place)")
    }
  }

  @Test func aPartThatIsShorterThanStatedIsDamaged() throws {
    let runs = Runs(count: 50)
    let compressed = runs.compressed()
    let scratch = Scratch()
    let whole = try InputFile(try scratch.write(compressed, to: "part"))
    let file = InputFile(
      InflateDecoder(whole, range: 0..<compressed.count), byteCount: runs.byteCount + 1, path: whole.path)
    #expect(throws: FileError.self) { try file.read(at: runs.byteCount, count: 1) }
  }
}

@Suite struct SnappyTests {
  @Test func literalsAndCopies() throws {
    // 11 bytes: "quern ", then five from six bytes back.
    let bytes: [UInt8] = [11, 5 << 2] + Array("quern ".utf8) + [1 << 2 | 1, 6]
    #expect(try Snappy.expand(bytes, limit: 100) == Array("quern quern".utf8))
    #expect(throws: Snappy.Fault.self) { try Snappy.expand(bytes, limit: 10) }
    for count in 0..<bytes.count {
      #expect(throws: Snappy.Fault.self) { try Snappy.expand(Array(bytes[..<count]), limit: 100) }
    }
    // A copy from before the beginning.
    #expect(throws: Snappy.Fault.self) { try Snappy.expand([4, 1, 9], limit: 100) }
  }
}
