import Archives
import Bytes
import IR

/// A part of a variable that was partitioned: a range along each axis. Its bytes have an entry of their own.
struct TensorFlowSlice: Equatable {
  struct Extent: Equatable {
    var start = 0
    /// Nil takes the whole axis.
    var length: Int?
  }

  let extents: [Extent]

  /// TensorSliceProto: {1: repeated Extent {1 start, 2 length}}.
  static func read(_ file: InputFile, _ range: Range<Int>, limit: Int) throws(ProtobufError) -> TensorFlowSlice {
    var extents: [Extent] = []
    var reader = ProtobufReader(file, range: range)
    while let field = try reader.next() {
      guard field.number == 1, case .bytes(let range) = field.value else { continue }
      guard extents.count < limit else { throw .malformed(reason: "too many axes", offset: field.offset) }
      var extent = Extent()
      var fields = ProtobufReader(file, range: range)
      while let field = try fields.next() {
        switch (field.number, field.value) {
        case (1, .varint(let value)): extent.start = Int(clamping: value)
        case (2, .varint(let value)): extent.length = Int(clamping: value)
        default: break
        }
      }
      extents.append(extent)
    }
    return TensorFlowSlice(extents: extents)
  }

  static func isKeyOfPart(_ key: ByteString) -> Bool { key.bytes.first == 0 }

  /// The key of the part's own entry (EncodeTensorNameSlice): a zero, the name, the axes, each start and length (−1 for a
  /// whole axis), as tensorflow/core/lib/strings/ordered_code.cc writes them.
  func key(of name: ByteString) -> ByteString {
    var result: [UInt8] = [0]
    for byte in name.bytes {
      result.append(byte)
      if byte == 0x00 { result.append(0xFF) }
      if byte == 0xFF { result.append(0x00) }
    }
    result += [0, 1]
    result += extents.isEmpty ? [0] : [1, UInt8(truncatingIfNeeded: extents.count)]
    for extent in extents { result += Self.ordered(extent.start) + Self.ordered(extent.length ?? -1) }
    return ByteString(bytes: result)
  }

  /// Big-endian, in as many bytes as seven bits each need; as many ones as bytes lead, inverted for negative numbers.
  static func ordered(_ value: Int) -> [UInt8] {
    let magnitude = value < 0 ? ~value : value
    let bits = Int.bitWidth - magnitude.leadingZeroBitCount
    let count = bits / 7 + 1
    var bytes = (0..<count).reversed().map { UInt8(truncatingIfNeeded: $0 < 8 ? value >> ($0 * 8) : value >> 63) }
    let marks = UInt16(truncatingIfNeeded: 0xFFFF << (16 - count))
    bytes[0] ^= UInt8(marks >> 8)
    if count > 1 { bytes[1] ^= UInt8(marks & 0xFF) }
    return bytes
  }

  /// The whole of which these are the parts, along one axis (TensorFlow cuts no other way); nil where they do not fit.
  static func joined(_ parts: [(slice: TensorFlowSlice, tensor: TensorRef)], shape: Shape) -> (any TensorSource)? {
    let dimensions = shape.dimensions
    guard let format = parts.first?.tensor.format, parts.allSatisfy({ $0.slice.extents.count == dimensions.count })
    else { return nil }
    let cut = dimensions.indices.filter { axis in
      parts.contains {
        let extent = $0.slice.extents[axis]
        return extent.start != 0 || extent.length.map { $0 != dimensions[axis] } == true
      }
    }
    guard cut.count <= 1, let axis = cut.first ?? dimensions.indices.first else { return nil }
    let sorted = parts.sorted { $0.slice.extents[axis].start < $1.slice.extents[axis].start }
    var end = 0
    for (slice, tensor) in sorted {
      var expected = dimensions
      expected[axis] = slice.extents[axis].length ?? dimensions[axis]
      guard slice.extents[axis].start == end, expected[axis] <= dimensions[axis] - end,
        tensor.shape.dimensions == expected, tensor.format == format
      else { return nil }
      end += expected[axis]
    }
    guard end == dimensions[axis] else { return nil }
    if axis < dimensions.count - 1, dimensions[..<axis].allSatisfy({ $0 == 1 }) {
      return ConcatenatedRows(sorted.map(\.tensor))
    }
    let outer = dimensions[..<axis].reduce(1, *)
    guard outer > 0, shape.elementCount > 0 else { return nil }
    let wide = sorted.compactMap { $0.tensor.reshaped(rows: outer, columns: $0.tensor.shape.elementCount / outer) }
    guard wide.count == sorted.count else { return nil }
    let joined = ConcatenatedColumns(wide)
    if axis == dimensions.count - 1 { return joined }
    let whole = TensorRef(
      name: "", shape: .matrix(rows: outer, columns: shape.elementCount / outer), format: format, source: joined)
    return RewrappedRows(whole, rowByteCount: shape.columns * format.bytesPerBlock)
  }
}
