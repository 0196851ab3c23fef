public import Bytes
import Synchronization

/// Bytes that someone is still computing: readable from when they are supplied until they are released.
///
/// Calibrated tensors come block by block while a model runs, and each is written before the next is computed.
public final class PendingTensorSource: TensorSource {
  private let rowByteCount: Int
  private let bytes = Mutex<[UInt8]?>(nil)

  public init(rowByteCount: Int) { self.rowByteCount = rowByteCount }

  public var isReady: Bool { bytes.withLock { $0 != nil } }

  /// Makes the tensor readable. `bytes`: all its rows.
  public func supply(_ bytes: [UInt8]) { self.bytes.withLock { $0 = bytes } }

  /// Frees the bytes once they are written.
  public func release() { bytes.withLock { $0 = nil } }

  public func read(rows: Range<Int>, into target: inout MutableRawSpan) throws(FileError) {
    // A copy of the reference only: the bytes are not copied under the lock.
    guard let bytes = bytes.withLock({ $0 }) else { preconditionFailure("read before it was supplied") }
    target.copy(from: bytes.rawSpan.extracting(rows.lowerBound * rowByteCount..<rows.upperBound * rowByteCount))
  }
}
