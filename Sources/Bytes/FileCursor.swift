/// Reads a file front to back through a small window: little-endian numbers, strings and counted bytes.
///
/// For headers without a stated length (GGUF). Every read is checked against the file's end, and a count can be checked
/// against what is left before anything is allocated for it.
public struct FileCursor {
  public let file: InputFile
  /// Where the next read starts.
  public private(set) var offset: Int
  private var window: [UInt8] = []
  private var windowOffset = 0
  private let windowByteCount: Int

  public init(_ file: InputFile, offset: Int = 0, windowByteCount: Int = 1 << 18) {
    self.file = file
    self.offset = offset
    self.windowByteCount = windowByteCount
  }

  public var remaining: Int { file.byteCount - offset }

  /// Inlined, because a generic call across modules costs a hundred times the read.
  @inlinable
  public mutating func readInteger<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type = T.self) throws(FileError)
    -> T
  {
    T(truncatingIfNeeded: try readBits(byteCount: MemoryLayout<T>.size))
  }

  /// A little-endian number of one to eight bytes.
  public mutating func readBits(byteCount: Int) throws(FileError) -> UInt64 {
    precondition(byteCount >= 1 && byteCount <= 8, "numbers have one to eight bytes")
    try ensure(byteCount)
    var value: UInt64 = 0
    for index in stride(from: offset - windowOffset + byteCount - 1, through: offset - windowOffset, by: -1) {
      value = value << 8 | UInt64(window[index])
    }
    offset += byteCount
    return value
  }

  public mutating func readBytes(_ count: Int) throws(FileError) -> [UInt8] {
    if count <= windowByteCount {
      try ensure(count)
      let start = offset - windowOffset
      offset += count
      return Array(window[start..<start + count])
    }
    let bytes = try file.read(at: offset, count: count)
    offset += count
    return bytes
  }

  public mutating func skip(_ count: Int) throws(FileError) {
    guard count >= 0, count <= remaining else { throw short(count) }
    offset += count
  }

  private mutating func ensure(_ count: Int) throws(FileError) {
    guard count >= 0, count <= remaining else { throw short(count) }
    if offset >= windowOffset, offset + count <= windowOffset + window.count { return }
    window = try file.read(at: offset, count: min(max(windowByteCount, count), remaining))
    windowOffset = offset
  }

  private func short(_ count: Int) -> FileError {
    .truncated(path: file.path, offset: offset, wanted: count, fileByteCount: file.byteCount)
  }
}
