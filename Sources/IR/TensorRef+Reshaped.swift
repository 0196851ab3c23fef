public import Bytes

extension TensorRef {
  /// The same elements in rows of another length, where they lie one after the other; nil otherwise.
  public func reshaped(rows: Int, columns: Int) -> TensorRef? {
    guard format.isPlain, rows >= 0, columns >= 0,
      rows.multipliedReportingOverflow(by: columns) == (shape.elementCount, false)
    else { return nil }
    var result = self
    result.shape = .matrix(rows: rows, columns: columns)
    switch source {
    case let source as FileTensorSource:
      result.source = FileTensorSource(
        file: source.file, offset: source.offset, rowByteCount: columns * format.bytesPerBlock)
    case let source as MemoryTensorSource:
      result.source = MemoryTensorSource(bytes: source.bytes, rowByteCount: columns * format.bytesPerBlock)
    case _ where shape.columns == columns: break
    default: return nil
    }
    return result
  }
}

/// The bytes of a tensor of plain numbers in rows of another length. Reads the base's rows that hold the wanted ones.
public struct RewrappedRows: TensorSource {
  private let base: TensorRef
  private let rowByteCount: Int

  public init(_ base: TensorRef, rowByteCount: Int) {
    precondition(base.format.isPlain && base.rowByteCount > 0 && rowByteCount > 0, "\(base.name): no rows to wrap")
    self.base = base
    self.rowByteCount = rowByteCount
  }

  public var isReady: Bool { base.source.isReady }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let wanted = rows.lowerBound * rowByteCount..<rows.upperBound * rowByteCount
    guard !wanted.isEmpty else { return }
    let first = wanted.lowerBound / base.rowByteCount
    let last = (wanted.upperBound + base.rowByteCount - 1) / base.rowByteCount
    let read = try base.bytes(rows: first..<last)
    let start = wanted.lowerBound - first * base.rowByteCount
    bytes.copy(from: read.rawSpan.extracting(start..<start + wanted.count), at: 0)
  }
}
