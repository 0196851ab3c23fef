public import Bytes

/// Rows as they lie in a file.
public struct FileTensorSource: TensorSource {
  public let file: InputFile
  /// Of the first row, in bytes.
  public let offset: Int
  public let rowByteCount: Int

  public init(file: InputFile, offset: Int, rowByteCount: Int) {
    self.file = file
    self.offset = offset
    self.rowByteCount = rowByteCount
  }

  public var forwardOffset: Int? { file.readsForward ? offset : nil }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    try file.read(at: offset + rows.lowerBound * rowByteCount, into: &bytes)
  }
}

/// Rows held in memory: small tensors that a conversion makes.
public struct MemoryTensorSource: TensorSource {
  public let bytes: [UInt8]
  public let rowByteCount: Int

  public init(bytes: [UInt8], rowByteCount: Int) {
    self.bytes = bytes
    self.rowByteCount = rowByteCount
  }

  public func read(rows: Range<Int>, into target: inout MutableRawSpan) throws(FileError) {
    target.copy(from: bytes.rawSpan.extracting(rows.lowerBound * rowByteCount..<rows.upperBound * rowByteCount))
  }
}

/// The same rows in another order, within groups of equal size: row `i` of a group is row `order[i]` of the base's.
///
/// Blocks run along columns, so packed rows move as they are. Reads whole groups.
public struct RowPermutation: TensorSource {
  public let base: any TensorSource
  public let order: [Int]
  public let rowByteCount: Int

  public init(_ base: any TensorSource, order: [Int], rowByteCount: Int) {
    precondition(order.sorted() == Array(order.indices), "not a permutation")
    self.base = base
    self.order = order
    self.rowByteCount = rowByteCount
  }

  public var isReady: Bool { base.isReady }
  public var forwardOffset: Int? { base.forwardOffset }
  public var follows: [ByteString] { base.follows }
  public var rowsTogether: Int { order.count }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let first = rows.lowerBound / order.count * order.count
    let last = (rows.upperBound + order.count - 1) / order.count * order.count
    var groups = [UInt8](repeating: 0, count: (last - first) * rowByteCount)
    try groups.withMutableRawSpan { (span) throws(FileError) in try base.read(rows: first..<last, into: &span) }
    for row in rows {
      let from = (row / order.count * order.count + order[row % order.count] - first) * rowByteCount
      bytes.copy(
        from: groups.rawSpan.extracting(from..<from + rowByteCount), at: (row - rows.lowerBound) * rowByteCount)
    }
  }
}

/// The same as `RowPermutation` for a vector (a bias): elements move within groups. One row.
public struct ElementPermutation: TensorSource {
  public let base: any TensorSource
  public let order: [Int]
  public let elementByteCount: Int

  public init(_ base: any TensorSource, order: [Int], elementByteCount: Int) {
    precondition(order.sorted() == Array(order.indices), "not a permutation")
    self.base = base
    self.order = order
    self.elementByteCount = elementByteCount
  }

  public var isReady: Bool { base.isReady }
  public var forwardOffset: Int? { base.forwardOffset }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var row = [UInt8](repeating: 0, count: bytes.byteCount)
    try row.withMutableRawSpan { (span) throws(FileError) in try base.read(rows: rows, into: &span) }
    for element in 0..<row.count / elementByteCount {
      let from = (element / order.count * order.count + order[element % order.count]) * elementByteCount
      bytes.copy(from: row.rawSpan.extracting(from..<from + elementByteCount), at: element * elementByteCount)
    }
  }
}
