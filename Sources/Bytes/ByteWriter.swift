/// Appends little-endian numbers and bytes to memory.
public struct ByteWriter {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public var count: Int { bytes.count }

  public mutating func append<T: FixedWidthInteger>(_ value: T) {
    var rest = value
    for _ in 0..<MemoryLayout<T>.size {
      bytes.append(UInt8(truncatingIfNeeded: rest))
      if MemoryLayout<T>.size > 1 { rest >>= 8 }
    }
  }

  public mutating func append(_ value: Float) { append(value.bitPattern) }
  public mutating func append(_ value: Double) { append(value.bitPattern) }
  public mutating func append(bytes more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  public mutating func pad(toMultipleOf alignment: Int) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }
}
