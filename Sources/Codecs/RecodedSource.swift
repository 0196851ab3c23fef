#if WIP
public import Bytes
public import IR
public import Kernels
import Synchronization

/// Rows of another tensor in another format: decoded and encoded again as they are read.
///
/// Keeps what the change cost. The statistics do not depend on which thread read which rows.
public final class RecodedSource: TensorSource {
  private let base: TensorRef
  private let decoder: Codec
  private let encoder: Codec
  private let statisticsByRow = Mutex<[Int: EncodeStatistics]>([:])

  /// Nil when either format has no codec for its part.
  public init?(_ base: TensorRef, as format: BlockFormat, kernels: Kernels) {
    guard let decoder = Codec.for(base.format, kernels: kernels), let encoder = Codec.for(format, kernels: kernels),
      encoder.canEncode
    else { return nil }
    self.base = base
    self.decoder = decoder
    self.encoder = encoder
  }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var stored = [UInt8](repeating: 0, count: rows.count * base.rowByteCount)
    try stored.withMutableRawSpan { (span) throws(FileError) in try base.read(rows: rows, into: &span) }
    var values = [Float](repeating: 0, count: rows.count * base.shape.columns)
    var span = values.mutableSpan
    decoder.decode(stored.rawSpan, into: &span)
    let statistics = encoder.encode(values.span, importance: nil, into: &bytes)
    statisticsByRow.withLock { $0[rows.lowerBound] = statistics }
  }

  /// Of all rows read so far, summed in row order. The error is against the decoded source.
  public var statistics: EncodeStatistics {
    statisticsByRow.withLock { byRow in
      byRow.sorted { $0.key < $1.key }.reduce(into: EncodeStatistics()) { $0.add($1.value) }
    }
  }
}
#endif
