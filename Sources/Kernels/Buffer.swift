import Glibc

/// Zeroed memory for weights and activations: 64-byte aligned, or 2 MiB aligned and on huge pages where it is large.
///
/// A buffer is shared between threads by design: who writes which part when is the caller's business, as with any
/// array of cells. Kernels write only where their arguments say.
@safe public final class Buffer: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  public let byteCount: Int

  /// Memory is touched lazily, so an unused part costs nothing. Traps when the system has no address space left.
  public init(byteCount: Int) {
    precondition(byteCount >= 0)
    let huge = 2 << 20
    let alignment = byteCount >= huge ? huge : 64
    // A tail that vector loads may touch: kernels read whole 64-byte lines.
    let padded = (byteCount + 64 + alignment - 1) / alignment * alignment
    var memory: UnsafeMutableRawPointer?
    precondition(unsafe posix_memalign(&memory, alignment, padded) == 0, "out of memory: \(byteCount) bytes")
    guard let memory = unsafe memory else { preconditionFailure("out of memory: \(byteCount) bytes") }
    if alignment == huge {
      unsafe madvise(memory, padded, MADV_HUGEPAGE)
    }
    unsafe memset(memory, 0, padded)
    unsafe base = memory
    self.byteCount = byteCount
  }

  deinit { unsafe free(base) }

  /// Lends `range` for reading.
  public func withBytes<R, E: Error>(_ range: Range<Int>, _ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    return try body(unsafe UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count).bytes)
  }

  /// Lends `range` for writing.
  public func withMutableBytes<R, E: Error>(
    _ range: Range<Int>, _ body: (inout MutableRawSpan) throws(E) -> R
  ) throws(E) -> R {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
    var span = unsafe MutableRawSpan(
      _unsafeBytes: UnsafeMutableRawBufferPointer(start: base + range.lowerBound, count: range.count))
    return try body(&span)
  }
}
