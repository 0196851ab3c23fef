//  frame:  0xFD2FB528 │ descriptor: u8 [window: u8] [dictionary: 0–4 bytes] [content size: 0–8 bytes]
//          blocks: u24 = last │ kind << 1 │ size << 3, then size bytes (one for a run) │ [checksum: u32]
//  skippable: 0x184D2A50–5F │ size: u32 │ bytes
//
//  RFC 8878, section 3.

/// Where the frames of a Zstandard file lie and what they expand to, found without expanding them where they say so.
struct ZstandardFrames: Sendable {
  struct Frame: Sendable {
    /// In the file.
    let offset: Int
    /// In the expanded bytes.
    let start: Int
  }

  private(set) var frames: [Frame] = []
  private(set) var expandedByteCount = 0
  private let file: InputFile

  /// Weights never shrink that much: more is a bomb.
  private static let greatestRatio = 256
  /// What may be expanded whatever its ratio.
  private static let freeByteCount = 1 << 26

  init(_ file: InputFile) throws(FileError) {
    self.file = file
    let (product, overflow) = file.byteCount.multipliedReportingOverflow(by: Self.greatestRatio)
    let limit = overflow ? Int.max : max(product, Self.freeByteCount)
    var cursor = FileCursor(file, windowByteCount: 1 << 12)
    while cursor.remaining > 0 {
      let start = cursor.offset
      guard cursor.remaining >= 8 else { throw damaged("the last frame is cut off", at: start) }
      let mark = try cursor.readInteger(UInt32.self)
      if mark & 0xFFFF_FFF0 == 0x184D_2A50 {
        let count = Int(try cursor.readInteger(UInt32.self))
        guard count <= cursor.remaining else { throw damaged("the last frame is cut off", at: start) }
        try cursor.skip(count)
        continue
      }
      guard mark == 0xFD2F_B528 else { throw damaged("no frame", at: start) }
      let stated = try skipFrame(&cursor, start: start)
      frames.append(Frame(offset: start, start: expandedByteCount))
      var count = stated ?? 0
      if stated == nil {
        count = try expandedByteCount(of: start..<cursor.offset, limit: limit - expandedByteCount)
      }
      guard count <= limit - expandedByteCount else { throw .compression(path: file.path, .tooLarge(limit: limit)) }
      expandedByteCount += count
    }
  }

  private func damaged(_ reason: String, at offset: Int) -> FileError {
    .compression(path: file.path, .damaged(reason: reason, offset: offset))
  }

  /// Goes over a frame, from behind its mark; what it says it expands to, if it does.
  private func skipFrame(_ cursor: inout FileCursor, start: Int) throws(FileError) -> Int? {
    let descriptor = Int(try cursor.readBits(byteCount: 1))
    let isSingle = descriptor & 0x20 != 0
    try skip(&cursor, (isSingle ? 0 : 1) + [0, 1, 2, 4][descriptor & 3], start: start)
    let width = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]
    var size: Int?
    if width > 0 {
      guard width <= cursor.remaining else { throw damaged("the last frame is cut off", at: start) }
      let value = try cursor.readBits(byteCount: width)
      size = Int(clamping: value) + (width == 2 ? 256 : 0)
    }
    var isLast = false
    while !isLast {
      guard cursor.remaining >= 3 else { throw damaged("the last frame is cut off", at: start) }
      let header = Int(try cursor.readBits(byteCount: 3))
      isLast = header & 1 != 0
      try skip(&cursor, header >> 1 & 3 == 1 ? 1 : header >> 3, start: start)
    }
    if descriptor & 4 != 0 { try skip(&cursor, 4, start: start) }
    return size
  }

  private func skip(_ cursor: inout FileCursor, _ count: Int, start: Int) throws(FileError) {
    guard count <= cursor.remaining else { throw damaged("the last frame is cut off", at: start) }
    try cursor.skip(count)
  }

  /// Expands a frame that does not say how long it is, keeping nothing.
  private func expandedByteCount(of range: Range<Int>, limit: Int) throws(FileError) -> Int {
    var reader = ZstandardReader(file, range: range)
    var count = 0
    while true {
      let piece = try reader.next()
      if piece.isEmpty { break }
      count += piece.count
      guard count <= limit else { throw .compression(path: file.path, .tooLarge(limit: limit)) }
    }
    guard !reader.isFrameOpen else { throw damaged("a frame is cut off", at: range.lowerBound) }
    return count
  }
}

/// Expands frames from one on, forwards.
struct ZstandardReader {
  private let file: InputFile
  private let stream = ZstandardStream()
  private var input: [UInt8] = []
  private var position = 0
  private var inputOffset: Int
  private let end: Int
  /// Whether the last piece filled all the room: then more may follow without further input.
  private var mayHoldMore = false

  /// - Parameter range: of whole frames, known to lie in the file.
  init(_ file: InputFile, range: Range<Int>) {
    self.file = file
    inputOffset = range.lowerBound
    end = range.upperBound
  }

  var isFrameOpen: Bool { stream.isFrameOpen }

  /// The next piece; empty at the end of the range only.
  mutating func next() throws(FileError) -> [UInt8] {
    while true {
      if position == input.count, !mayHoldMore {
        inputOffset += input.count
        position = 0
        input = try file.read(at: inputOffset, count: min(1 << 17, end - inputOffset))
        if input.isEmpty { return [] }
      }
      let output: [UInt8]
      do throws(ZstandardError) { output = try stream.next(input, &position, from: inputOffset) } catch {
        throw .compression(path: file.path, error)
      }
      mayHoldMore = output.count == ZstandardStream.chunkByteCount
      if !output.isEmpty { return output }
    }
  }
}

/// Expands a Zstandard file; begins at frames.
struct ZstandardDecoder: ForwardDecoder {
  private let file: InputFile
  private let frames: ZstandardFrames
  /// Made when something is read.
  private var reader: Reader?
  private(set) var position = 0

  /// libzstd's state, which one thread at a time uses: `ExpandedBytes` holds a lock over it.
  private final class Reader: @unchecked Sendable {
    var value: ZstandardReader
    init(_ value: ZstandardReader) { self.value = value }
  }

  init(_ frames: ZstandardFrames, of file: InputFile) {
    self.file = file
    self.frames = frames
  }

  private func reader(from offset: Int) -> Reader { Reader(ZstandardReader(file, range: offset..<file.byteCount)) }

  mutating func next() throws(FileError) -> [UInt8] {
    let current = reader ?? reader(from: frames.frames.first?.offset ?? file.byteCount)
    reader = current
    let bytes = try current.value.next()
    position += bytes.count
    return bytes
  }

  mutating func approach(_ offset: Int) {
    let starts = frames.frames
    var low = 0
    var high = starts.count
    while low < high {
      let middle = (low + high) / 2
      if starts[middle].start <= offset { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return }
    let frame = starts[low - 1]
    if position <= offset, position >= frame.start { return }
    reader = reader(from: frame.offset)
    position = frame.start
  }

  mutating func rewind() {
    reader = nil
    position = 0
  }
}
