public import Bytes

/// Plain numbers that lie with their most significant byte first, as big-endian machines write them.
public struct ByteSwappedSource: TensorSource {
  private let base: any TensorSource
  private let elementByteCount: Int

  public init(_ base: any TensorSource, elementByteCount: Int) {
    self.base = base
    self.elementByteCount = elementByteCount
  }

  public var isReady: Bool { base.isReady }
  public var forwardOffset: Int? { base.forwardOffset }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    try base.read(rows: rows, into: &bytes)
    bytes.reverseEach(elementByteCount)
  }
}

extension TensorRef {
  /// The tensor whose stored numbers are in the other byte order than ours.
  public func byteSwapped() -> TensorRef {
    precondition(format.isPlain, "\(name): only plain numbers have a byte order")
    guard format.bytesPerBlock > 1 else { return self }
    var result = self
    result.source = ByteSwappedSource(source, elementByteCount: format.bytesPerBlock)
    return result
  }
}
