/// Appends little-endian numbers and bytes to memory.
public struct ByteWriter {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public var count: Int { bytes.count }

  /// Inlined, because a generic call across modules costs a hundred times the write.
  @inlinable
  public mutating func append<T: FixedWidthInteger>(_ value: T) {
    append(bits: UInt64(truncatingIfNeeded: value), byteCount: MemoryLayout<T>.size)
  }

  /// The lowest `byteCount` bytes of `bits`.
  public mutating func append(bits: UInt64, byteCount: Int) {
    precondition(byteCount >= 0 && byteCount <= 8, "numbers have up to eight bytes")
    for index in 0..<byteCount { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(8 * index))) }
  }

  public mutating func append(_ value: Float) { append(value.bitPattern) }
  public mutating func append(_ value: Double) { append(value.bitPattern) }
  public mutating func append(bytes more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  public mutating func pad(toMultipleOf alignment: Int) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }
}
