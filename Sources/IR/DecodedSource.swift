public import Bytes

/// Makes rows of floats on demand, from whatever a format packs them in.
public protocol RowDecoder: Sendable {
  /// Elements of a row.
  var columns: Int { get }
  /// Fills `values` with the rows, one after the other; it has exactly their count.
  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError)
}

/// Rows of F32 that a decoder makes.
public struct DecodedSource: TensorSource {
  private let decoder: any RowDecoder

  public init(_ decoder: any RowDecoder) { self.decoder = decoder }

  public func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    var values = [Float](repeating: 0, count: rows.count * decoder.columns)
    try decoder.decode(rows: rows, into: &values)
    bytes.store(values.span)
  }
}

extension BlockFormat {
  /// Whether `TensorRef.floats` can read it: one element per block.
  public var isPlain: Bool { elementsPerBlock == 1 }
}

extension TensorRef {
  /// Rows of plain numbers as F32. For the small tensors that others are decoded with, and slabs of large ones.
  public func floats(rows: Range<Int>) throws(FileError) -> [Float] {
    var bytes = [UInt8](repeating: 0, count: rows.count * rowByteCount)
    try bytes.withMutableRawSpan { (span) throws(FileError) in try read(rows: rows, into: &span) }
    return format.floats(bytes)
  }

  public func floats() throws(FileError) -> [Float] { try floats(rows: 0..<shape.rows) }

  /// Rows as they are stored.
  public func bytes(rows: Range<Int>) throws(FileError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: rows.count * rowByteCount)
    try bytes.withMutableRawSpan { (span) throws(FileError) in try read(rows: rows, into: &span) }
    return bytes
  }
}

extension BlockFormat {
  /// Plain numbers, little-endian, as F32; integers that F32 cannot hold are rounded.
  public func floats(_ bytes: [UInt8]) -> [Float] {
    precondition(isPlain, "\(name) needs a codec")
    let width = bytesPerBlock
    let count = bytes.count / width
    let span = bytes.rawSpan
    var result = [Float](repeating: 0, count: count)
    switch name {
    case "F32": for index in 0..<count { result[index] = span.float(at: index * 4) }
    case "F16":
      for index in 0..<count { result[index] = Float(Float16(bitPattern: span.integer(at: index * 2))) }
    case "BF16":
      for index in 0..<count {
        result[index] = Float(bitPattern: UInt32(span.integer(at: index * 2, as: UInt16.self)) << 16)
      }
    case "F64":
      for index in 0..<count {
        result[index] = Float(Double(bitPattern: span.integer(at: index * 8, as: UInt64.self)))
      }
    case "F8_E4M3":
      let table = (0..<256).map { Float(e4m3: UInt8($0)) }
      for index in 0..<count { result[index] = table[Int(bytes[index])] }
    case "F8_E5M2":
      for index in 0..<count { result[index] = Float(Float16(bitPattern: UInt16(bytes[index]) << 8)) }
    case "I8": for index in 0..<count { result[index] = Float(Int8(bitPattern: bytes[index])) }
    case "U8", "BOOL": for index in 0..<count { result[index] = Float(bytes[index]) }
    case "I16": for index in 0..<count { result[index] = Float(span.integer(at: index * 2, as: Int16.self)) }
    case "U16": for index in 0..<count { result[index] = Float(span.integer(at: index * 2, as: UInt16.self)) }
    case "I32": for index in 0..<count { result[index] = Float(span.integer(at: index * 4, as: Int32.self)) }
    case "U32": for index in 0..<count { result[index] = Float(span.integer(at: index * 4, as: UInt32.self)) }
    case "I64": for index in 0..<count { result[index] = Float(span.integer(at: index * 8, as: Int64.self)) }
    default: for index in 0..<count { result[index] = Float(span.integer(at: index * 8, as: UInt64.self)) }
    }
    return result
  }
}

extension Float {
  /// OCP's eight-bit float with four exponent bits: no infinities, all ones is NaN.
  public init(e4m3 bits: UInt8) {
    let exponent = Int(bits >> 3 & 15)
    let mantissa = Float(bits & 7)
    let magnitude: Float =
      bits & 0x7F == 0x7F
      ? .nan
      : exponent == 0
        ? mantissa / 512 : (1 + mantissa / 8) * Float(sign: .plus, exponent: exponent - 7, significand: 1)
    self = bits & 0x80 == 0 ? magnitude : -magnitude
  }

  /// OCP's four-bit float (E2M1): 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives.
  public static let e2m1: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]

  /// OCP's exponent-only scale: 2^(bits − 127), 255 being NaN.
  public init(e8m0 bits: UInt8) {
    self = bits == 255 ? .nan : bits == 0 ? Float(bitPattern: 0x0040_0000) : Float(bitPattern: UInt32(bits) << 23)
  }
}
