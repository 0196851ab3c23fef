public import IR

/// The slow twin of a block format's kernels, written to be read: one block at a time, in the order of the formulas.
///
/// `decode` defines what a block means, bit for bit. `encode`, where there is one, is ggml's encoder without calibration
/// data: the baseline that no kernel's block may fall behind.
public struct ReferenceCodec: Sendable {
  public let format: BlockFormat
  /// The bytes of one block to its elements.
  public let decode: @Sendable ([UInt8]) -> [Float]
  /// The elements of one block (finite) to its bytes.
  public let encode: (@Sendable ([Float]) -> [UInt8])?

  init(
    _ format: BlockFormat, decode: @escaping @Sendable ([UInt8]) -> [Float],
    encode: (@Sendable ([Float]) -> [UInt8])? = nil
  ) {
    self.format = format
    self.decode = decode
    self.encode = encode
  }

  public static let all: [ReferenceCodec] = plainNumbers + symmetric + affine + superBlocks + levels + fewBits + grids
}

extension [UInt8] {
  /// Little-endian integers at a byte offset.
  func u16(at offset: Int) -> UInt16 { UInt16(self[offset]) | UInt16(self[offset + 1]) << 8 }
  func u32(at offset: Int) -> UInt32 { UInt32(u16(at: offset)) | UInt32(u16(at: offset + 2)) << 16 }
  func u64(at offset: Int) -> UInt64 { UInt64(u32(at: offset)) | UInt64(u32(at: offset + 4)) << 32 }
  /// A half, widened; exact.
  func half(at offset: Int) -> Float { Float(Float16(bitPattern: u16(at: offset))) }

  mutating func append(half value: Float) { append(u16: Float16(value).bitPattern) }
  mutating func append(u16 value: UInt16) {
    append(UInt8(truncatingIfNeeded: value))
    append(UInt8(truncatingIfNeeded: value >> 8))
  }
  mutating func append(u32 value: UInt32) {
    append(u16: UInt16(truncatingIfNeeded: value))
    append(u16: UInt16(truncatingIfNeeded: value >> 16))
  }
}

/// C's conversion to an integer (towards zero), kept inside `range`; what no integer can be is its lower bound.
func truncated(_ x: Float, to range: ClosedRange<Int>) -> Int {
  x.isNaN ? range.lowerBound : Int(min(max(x, Float(range.lowerBound)), Float(range.upperBound)))
}
