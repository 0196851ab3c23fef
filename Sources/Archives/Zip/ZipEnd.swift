import Bytes
import SystemPackage

/// What the end of an archive says about its directory.
struct ZipEnd: Sendable {
  /// Of the record that says so.
  let offset: Int
  let entryCount: Int
  let directoryOffset: Int
  let directoryByteCount: Int

  /// Finds the end record by looking back over a comment of up to 65,535 bytes.
  init(of file: InputFile) throws(ZipError) {
    let path = file.path
    let tailByteCount = min(file.byteCount, 22 + 0xFFFF)
    let tail = try file.zipBytes(at: file.byteCount - tailByteCount, count: tailByteCount)
    // The comment's length must lead exactly to the end, or a comment could pretend to be the record.
    let found = stride(from: tailByteCount - 22, through: 0, by: -1).first { start in
      tail[start] == 0x50 && tail.littleEndian(at: start, count: 4) == 0x0605_4B50
        && tail.littleEndian(at: start + 20, count: 2) == tailByteCount - start - 22
    }
    guard let start = found else { throw .notAnArchive(path: path) }
    let recordOffset = file.byteCount - tailByteCount + start
    var offset = recordOffset
    var disks = [tail.littleEndian(at: start + 4, count: 2), tail.littleEndian(at: start + 6, count: 2)]
    var counts = [tail.littleEndian(at: start + 8, count: 2), tail.littleEndian(at: start + 10, count: 2)]
    var byteCount = tail.littleEndian(at: start + 12, count: 4)
    var directory = tail.littleEndian(at: start + 16, count: 4)
    // The larger record, if there is one, holds the true numbers; the smaller one then may have all bits set.
    if recordOffset >= 20 {
      let locator = try file.zipBytes(at: recordOffset - 20, count: 20)
      if locator.littleEndian(at: 0, count: 4) == 0x0706_4B50 {
        offset = locator.littleEndian(at: 8, count: 8)
        guard offset <= recordOffset - 20 - 56 else {
          throw .invalidDirectory(
            path: path, reason: "the zip64 record is not before its locator", offset: recordOffset - 20)
        }
        let record = try file.zipBytes(at: offset, count: 56)
        guard record.littleEndian(at: 0, count: 4) == 0x0606_4B50 else {
          throw .invalidDirectory(path: path, reason: "no zip64 record where its locator says", offset: offset)
        }
        disks = [record.littleEndian(at: 16, count: 4), record.littleEndian(at: 20, count: 4)]
        counts = [record.littleEndian(at: 24, count: 8), record.littleEndian(at: 32, count: 8)]
        byteCount = record.littleEndian(at: 40, count: 8)
        directory = record.littleEndian(at: 48, count: 8)
      }
    }
    guard disks == [0, 0], counts[0] == counts[1] else {
      throw .unsupported(path: path, entry: "", reason: "in several volumes", offset: offset)
    }
    guard directory <= offset, byteCount <= offset - directory else {
      throw .invalidDirectory(path: path, reason: "it does not end before the end record", offset: offset)
    }
    // 46 bytes and a name of one are the least an entry takes.
    guard counts[0] <= byteCount / 47 else {
      throw .invalidDirectory(
        path: path, reason: "\(byteCount) bytes could not hold \(counts[0]) entries", offset: offset)
    }
    self.offset = offset
    entryCount = counts[0]
    directoryOffset = directory
    directoryByteCount = byteCount
  }
}
