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

extension MutableRawSpan {
  /// Reverses the bytes of every element of `width` bytes.
  @_lifetime(self: copy self)
  public mutating func reverseEach(_ width: Int) {
    precondition(width > 0 && byteCount % width == 0, "elements that do not fill a span")
    // Safe: every index is below the count, which the check above makes a multiple of the width.
    unsafe withUnsafeMutableBytes { bytes in
      for start in stride(from: 0, to: bytes.count, by: width) {
        for index in 0..<width / 2 { unsafe bytes.swapAt(start + index, start + width - 1 - index) }
      }
    }
  }
}

extension RawSpan {
  /// The little-endian integer at `offset`, which the caller knows to be inside.
  @inlinable
  public func integer<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T {
    precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size, "a number past the end of a span")
    // Safe: the range was just checked, and any bits are a value of an integer type.
    return T(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// The little-endian F32 at `offset`.
  @inlinable
  public func float(at offset: Int) -> Float { Float(bitPattern: integer(at: offset, as: UInt32.self)) }
}

extension MutableRawSpan {
  /// Stores numbers one after the other from `offset`, little-endian.
  @_lifetime(self: copy self)
  public mutating func store(_ values: Span<Float>, at offset: Int = 0) {
    precondition(offset >= 0 && values.count <= (byteCount - offset) / 4, "numbers past the end of a span")
    // Safe: the range was just checked; every machine we run on is little-endian, which the target's check states.
    unsafe withUnsafeMutableBytes { target in
      unsafe values.withUnsafeBytes { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        unsafe (to + offset).copyMemory(from: from, byteCount: source.count)
      }
    }
  }
}

extension [UInt8] {
  /// The little-endian integer at `offset`, which the caller knows to be inside.
  @inlinable
  public func integer<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T {
    rawSpan.integer(at: offset, as: type)
  }
}
