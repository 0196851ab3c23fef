import Glibc

/// Zeroed memory for weights and activations: 64-byte aligned, or 2 MiB aligned and on huge pages where it is large.
///
/// A buffer is shared between threads by design: who writes which part when is the caller's business, as with any
/// array of cells. Kernels write only where their arguments say.
@safe public final class Buffer: @unchecked Sendable {
  let base: UnsafeMutableRawPointer
  public let byteCount: Int
  /// What the system gave, where it is pages of their own.
  private let mapping: UnsafeMutableRawBufferPointer?

  /// Large buffers are mapped: the system provides each page, zeroed, when it is first touched, so an unused part
  /// costs nothing. Traps when the address space is exhausted.
  public init(byteCount: Int) {
    precondition(byteCount >= 0)
    self.byteCount = byteCount
    // Kernels read whole vectors, which may end beyond the last element.
    let padded = byteCount + 64
    let huge = 2 << 20
    if byteCount < huge {
      var memory: UnsafeMutableRawPointer?
      let failed = unsafe posix_memalign(&memory, 64, padded) != 0
      guard !failed, let memory = unsafe memory else { preconditionFailure("out of memory: \(byteCount) bytes") }
      unsafe memset(memory, 0, padded)
      unsafe base = memory
      unsafe mapping = nil
    } else {
      let length = padded + huge
      let start = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
      guard let start = unsafe start, unsafe start != MAP_FAILED else {
        preconditionFailure("out of memory: \(byteCount) bytes")
      }
      unsafe mapping = UnsafeMutableRawBufferPointer(start: start, count: length)
      unsafe base = start.alignedUp(toMultipleOf: huge)
      unsafe madvise(base, padded, MADV_HUGEPAGE)
    }
  }

  deinit {
    if let mapping = unsafe mapping {
      unsafe munmap(mapping.baseAddress, mapping.count)
    } else {
      unsafe free(base)
    }
  }

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
