public import Bytes

/// A tensor by name, shape and type, whose bytes stay where they are until someone reads rows of it.
public struct TensorRef: Sendable {
  /// Canonical once the catalog has matched the family (`blk.3.attn_q.weight`); before, the file's own.
  public var name: ByteString
  /// As the file calls it.
  public var sourceName: ByteString
  public var shape: Shape
  public var format: BlockFormat
  public var source: any TensorSource

  public init(
    name: ByteString, sourceName: ByteString? = nil, shape: Shape, format: BlockFormat, source: any TensorSource
  ) {
    self.name = name
    self.sourceName = sourceName ?? name
    self.shape = shape
    self.format = format
    self.source = source
  }

  /// Bytes of one row: a whole number of blocks, which readers check before they make a reference.
  public var rowByteCount: Int {
    guard let count = format.byteCount(elements: shape.columns) else {
      preconditionFailure("\(name): rows of \(shape.columns) do not fill \(format.name) blocks")
    }
    return count
  }

  public var byteCount: Int { rowByteCount * shape.rows }

  /// Reads `rows` (of the flattened leading axes), in this tensor's own format.
  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= shape.rows, "\(name): rows \(rows) of \(shape)")
    precondition(bytes.byteCount == rows.count * rowByteCount, "\(name): wrong buffer for rows \(rows)")
    try source.read(rows: rows, into: &bytes)
  }

  /// The whole tensor. For small ones only: memory must not grow with the model.
  public func readAll() throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    try bytes.withMutableRawSpan { (span) throws(FileError) in try read(rows: 0..<shape.rows, into: &span) }
    return bytes
  }
}

/// Where a tensor's bytes come from: a range of a file, or a transform of other sources. Readable from any thread.
public protocol TensorSource: Sendable {
  /// Fills `bytes` with the rows, one after the other. The caller has checked range and size.
  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError)
  /// Whether it can be read by now; false only where something is still being computed. Transforms ask what they read.
  var isReady: Bool { get }
  /// Where the first row begins, if that is in a file that is dear to read backwards (a compressed one): who reads many
  /// such tensors reads them in this order. Transforms ask what they read.
  var forwardOffset: Int? { get }
  /// Tensors whose rows this one needs to know: who reads them all reads these first, which spares reading them again.
  var follows: [ByteString] { get }
  /// Rows that cost as much to read as one of them, when read from a multiple of their number on.
  var rowsTogether: Int { get }
}

extension TensorSource {
  public var isReady: Bool { true }
  public var forwardOffset: Int? { nil }
  public var follows: [ByteString] { [] }
  public var rowsTogether: Int { 1 }
}
