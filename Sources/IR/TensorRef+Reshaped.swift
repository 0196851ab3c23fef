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
