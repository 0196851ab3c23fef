/// `count` floats of a buffer: a bounds-checked view that shares the memory.
@safe public struct Floats: Sendable {
  public let buffer: Buffer
  /// In floats from the start of the buffer.
  public let offset: Int
  public let count: Int

  /// A new, zeroed buffer of `count` floats.
  public init(count: Int) {
    self.init(Buffer(byteCount: count * 4), offset: 0, count: count)
  }

  /// The floats `offset ..< offset + count` of the buffer.
  public init(_ buffer: Buffer, offset: Int, count: Int) {
    precondition(offset >= 0 && count >= 0 && offset <= buffer.byteCount / 4 - count, "outside the buffer")
    self.buffer = buffer
    self.offset = offset
    self.count = count
  }

  public init(_ values: [Float]) {
    self.init(count: values.count)
    withMutableSpan { span in
      for i in values.indices { span[i] = values[i] }
    }
  }

  /// The part `range` of this view.
  public subscript(range: Range<Int>) -> Floats {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "outside the view")
    return Floats(buffer, offset: offset + range.lowerBound, count: range.count)
  }

  var base: UnsafeMutablePointer<Float> {
    unsafe (buffer.base + offset * 4).assumingMemoryBound(to: Float.self)
  }

  /// Lends the floats for reading.
  public func withSpan<R, E: Error>(_ body: (Span<Float>) throws(E) -> R) throws(E) -> R {
    try body(unsafe UnsafeBufferPointer(start: base, count: count).span)
  }

  /// Lends the floats for writing.
  public func withMutableSpan<R, E: Error>(_ body: (inout MutableSpan<Float>) throws(E) -> R) throws(E) -> R {
    var span = unsafe MutableSpan(_unsafeElements: UnsafeMutableBufferPointer(start: base, count: count))
    return try body(&span)
  }

  /// A copy of the values.
  public func array() -> [Float] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }
}
