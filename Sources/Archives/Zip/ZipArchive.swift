//  entries:    "PK\3\4" … name, extra │ data          each where the directory says
//  directory:  "PK\1\2" … name, extra, comment        one per entry
//  [zip64 end record "PK\6\6", its locator "PK\6\7"]
//  end record: "PK\5\6" … comment                     the file's last bytes
//
//  Little-endian. Formats/Specs/archives.md; every ZIP-n is a rule there.

public import Bytes
import SystemPackage

/// The directory of a zip archive. Entries that are stored as they are can be read in place; compressed ones are expanded
/// as they are read.
public struct ZipArchive: Sendable {
  public struct Entry: Hashable, Sendable {
    public let name: ByteString
    public let byteCount: Int
    /// Of the directory's record, for errors.
    public let recordOffset: Int
    let storedByteCount: Int
    let headerOffset: Int
    let method: Int
    let flags: Int
  }

  public let file: InputFile
  /// In the order of the directory.
  public let entries: [Entry]
  private let index: [ByteString: Int]
  private let end: ZipEnd
  private let cache = ExpandedCache()

  public subscript(name: ByteString) -> Entry? { index[name].map { entries[$0] } }

  /// Reads the end record and the directory, nothing else.
  public init(_ file: InputFile, limits: Limits = Limits()) throws(ZipError) {
    self.file = file
    end = try ZipEnd(of: file)
    guard end.entryCount <= limits.tensorCount else {
      throw .limitExceeded(path: file.path, item: "entries", limit: limits.tensorCount, offset: end.offset)
    }
    guard end.directoryByteCount <= limits.headerByteCount else {
      throw .limitExceeded(
        path: file.path, item: "bytes of directory", limit: limits.headerByteCount, offset: end.offset)
    }
    let directory = try file.zipBytes(at: end.directoryOffset, count: end.directoryByteCount)
    entries = try ZipDirectoryParser(directory, end: end, path: file.path).entries()
    var index: [ByteString: Int] = [:]
    for (position, entry) in entries.enumerated() {
      guard !entry.name.isEmpty, index.updateValue(position, forKey: entry.name) == nil else {
        throw .invalidName(path: file.path, entry: entry.name, offset: entry.recordOffset)
      }
    }
    self.index = index
  }

  /// Where the entry's bytes begin in the file: `byteCount` of them, as they are.
  public func dataOffset(of entry: Entry) throws(ZipError) -> Int {
    guard entry.method == 0 else {
      throw .unsupported(path: file.path, entry: entry.name, reason: "compressed", offset: entry.recordOffset)
    }
    guard entry.storedByteCount == entry.byteCount else {
      throw .invalidEntry(
        path: file.path, entry: entry.name,
        reason: "stored in \(entry.storedByteCount) bytes but \(entry.byteCount) long", offset: entry.recordOffset)
    }
    return try storedOffset(of: entry)
  }

  /// A file that holds the entry's bytes and where: this one, or what expands from it.
  public func contents(of entry: Entry) throws(ZipError) -> (file: InputFile, range: Range<Int>) {
    guard entry.method == 8 else {
      let start = try dataOffset(of: entry)
      return (file, start..<start + entry.byteCount)
    }
    let start = try storedOffset(of: entry)
    // DEFLATE cannot make more than 1032 bytes of one.
    guard entry.byteCount / 1032 <= entry.storedByteCount else {
      throw .invalidEntry(
        path: file.path, entry: entry.name,
        reason: "\(entry.storedByteCount) compressed bytes cannot be \(entry.byteCount)", offset: entry.recordOffset)
    }
    let decoder = InflateDecoder(file, range: start..<start + entry.storedByteCount)
    return (InputFile(decoder, byteCount: entry.byteCount, path: file.path, cache: cache), 0..<entry.byteCount)
  }

  /// Where the entry's bytes begin in the file, compressed or not.
  private func storedOffset(of entry: Entry) throws(ZipError) -> Int {
    let path = file.path
    if entry.flags & 1 != 0 {
      throw .unsupported(path: path, entry: entry.name, reason: "encrypted", offset: entry.recordOffset)
    }
    let invalid = { (reason: String) in
      ZipError.invalidEntry(path: path, entry: entry.name, reason: reason, offset: entry.headerOffset)
    }
    guard entry.headerOffset <= end.directoryOffset - 30 else { throw invalid("not before the directory") }
    let header = try file.zipBytes(at: entry.headerOffset, count: 30)
    guard header.littleEndian(at: 0, count: 4) == 0x0403_4B50 else { throw invalid("no local header") }
    let nameByteCount = header.littleEndian(at: 26, count: 2)
    let start = entry.headerOffset + 30 + nameByteCount + header.littleEndian(at: 28, count: 2)
    guard start <= end.directoryOffset, entry.storedByteCount <= end.directoryOffset - start else {
      throw invalid("\(entry.storedByteCount) bytes do not end before the directory")
    }
    guard try file.zipBytes(at: entry.headerOffset + 30, count: nameByteCount) == entry.name.bytes else {
      throw invalid("its local header has another name")
    }
    return start
  }

  /// A small entry as a whole.
  public func read(_ entry: Entry, limit: Int) throws(ZipError) -> [UInt8] {
    let offset = try dataOffset(of: entry)
    guard entry.byteCount <= limit else {
      throw .limitExceeded(path: file.path, item: "bytes of \(entry.name)", limit: limit, offset: offset)
    }
    return try file.zipBytes(at: offset, count: entry.byteCount)
  }
}

extension InputFile {
  func zipBytes(at offset: Int, count: Int) throws(ZipError) -> [UInt8] {
    do throws(FileError) { return try read(at: offset, count: count) } catch { throw .file(error) }
  }
}

extension [UInt8] {
  /// A number of up to seven bytes, or of eight that is below 2^63 (larger ones are clamped to that); the caller knows that
  /// they are there.
  func littleEndian(at offset: Int, count: Int) -> Int {
    var value: UInt64 = 0
    for index in (offset..<offset + count).reversed() { value = value << 8 | UInt64(self[index]) }
    return Int(clamping: value)
  }
}
