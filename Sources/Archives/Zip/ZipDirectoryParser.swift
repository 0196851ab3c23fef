import Bytes
import SystemPackage

/// Reads the directory's records.
struct ZipDirectoryParser {
  private let bytes: [UInt8]
  private let end: ZipEnd
  private let path: FilePath

  init(_ bytes: [UInt8], end: ZipEnd, path: FilePath) {
    self.bytes = bytes
    self.end = end
    self.path = path
  }

  func entries() throws(ZipError) -> [ZipArchive.Entry] {
    var result: [ZipArchive.Entry] = []
    result.reserveCapacity(end.entryCount)
    var start = 0
    for _ in 0..<end.entryCount {
      guard bytes.count - start >= 46, bytes.littleEndian(at: start, count: 4) == 0x0201_4B50 else {
        throw invalid("no record", at: start)
      }
      let nameEnd = start + 46 + bytes.littleEndian(at: start + 28, count: 2)
      let extraEnd = nameEnd + bytes.littleEndian(at: start + 30, count: 2)
      let next = extraEnd + bytes.littleEndian(at: start + 32, count: 2)
      guard next <= bytes.count else { throw invalid("a record reaches past its end", at: start) }
      let sizes = try sizes(recordStart: start, extra: nameEnd..<extraEnd)
      result.append(
        ZipArchive.Entry(
          name: ByteString(bytes: Array(bytes[start + 46..<nameEnd])), byteCount: sizes.byteCount,
          recordOffset: end.directoryOffset + start, storedByteCount: sizes.stored, headerOffset: sizes.header,
          method: bytes.littleEndian(at: start + 10, count: 2), flags: bytes.littleEndian(at: start + 8, count: 2)))
      start = next
    }
    guard start == bytes.count else { throw invalid("\(bytes.count - start) bytes belong to no record", at: start) }
    return result
  }

  /// The three numbers that outgrew 32 bits: where the record has all bits set, the zip64 extra field goes on with the
  /// true ones, in this order.
  private func sizes(
    recordStart: Int, extra: Range<Int>
  ) throws(ZipError) -> (byteCount: Int, stored: Int, header: Int) {
    var values = [24, 20, 42].map { bytes.littleEndian(at: recordStart + $0, count: 4) }
    guard values.contains(0xFFFF_FFFF) else { return (values[0], values[1], values[2]) }
    var start = extra.lowerBound
    while extra.upperBound - start >= 4 {
      let tag = bytes.littleEndian(at: start, count: 2)
      let fieldEnd = start + 4 + bytes.littleEndian(at: start + 2, count: 2)
      guard fieldEnd <= extra.upperBound else { break }
      if tag == 1 {
        var at = start + 4
        for index in values.indices where values[index] == 0xFFFF_FFFF {
          guard fieldEnd - at >= 8 else { throw invalid("a zip64 field is too short", at: recordStart) }
          values[index] = bytes.littleEndian(at: at, count: 8)
          at += 8
        }
        return (values[0], values[1], values[2])
      }
      start = fieldEnd
    }
    throw invalid("a record lacks its zip64 field", at: recordStart)
  }

  private func invalid(_ reason: String, at start: Int) -> ZipError {
    .invalidDirectory(path: path, reason: reason, offset: end.directoryOffset + start)
  }
}
