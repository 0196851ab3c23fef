/// Little-endian reading from bytes in memory; never past their end.
public struct ByteReader: ~Escapable {
  private let bytes: RawSpan
  public private(set) var offset = 0

  @_lifetime(copy bytes)
  public init(_ bytes: RawSpan) { self.bytes = bytes }

  public var remaining: Int { bytes.byteCount - offset }

  /// The next integer, or nil (and no movement) when too few bytes are left.
  @_lifetime(self: copy self)
  public mutating func readInteger<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type = T.self) -> T? {
    guard remaining >= MemoryLayout<T>.size else { return nil }
    // Safe: any bits are a value of an integer type, and the range was just checked.
    let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
    offset += MemoryLayout<T>.size
    return T(littleEndian: value)
  }
}
