extension [UInt8] {
  /// The array's own storage as a raw span, to read from.
  public var rawSpan: RawSpan {
    // Safe: every byte of a UInt8 array is initialized.
    @_lifetime(borrow self) get { unsafe span.bytes }
  }

  /// The array's own storage as a raw span, to read into.
  public mutating func withMutableRawSpan<Failure: Error>(
    _ body: (inout MutableRawSpan) throws(Failure) -> Void
  ) throws(Failure) {
    var span = mutableSpan
    // Safe: any bits are a value of UInt8.
    var raw = unsafe span.mutableBytes
    try body(&raw)
  }
}

extension MutableRawSpan {
  /// Copies `source` to `offset`.
  @_lifetime(self: copy self)
  public mutating func copy(from source: RawSpan, at offset: Int = 0) {
    precondition(offset >= 0 && source.byteCount <= byteCount - offset, "copy past the end of a span")
    // Safe: both ranges were just checked, and exclusive access forbids that they overlap.
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        unsafe (to + offset).copyMemory(from: from, byteCount: source.count)
      }
    }
  }
}
