import Bytes
import IR

/// Reads one array's header, wherever in a file it lies.
struct NumPyArrayReader {
  let file: InputFile
  /// Of the entry; empty for a file of one array.
  let name: ByteString
  let range: Range<Int>
  let limits: Limits
  let cache: PanelCache

  func tensor() throws(NumPyError) -> TensorRef {
    let start = range.lowerBound
    let prefix = try bytes(at: start, count: min(12, range.count))
    guard prefix.count >= 10, prefix.starts(with: [0x93] + Array("NUMPY".utf8)), (1...3).contains(prefix[6]) else {
      throw .notNumPy(path: file.path, array: name, offset: start)
    }
    // Version 1 has a shorter length; 2 and 3 differ only in the header's encoding.
    let lengthByteCount = prefix[6] == 1 ? 2 : 4
    let headerOffset = start + 8 + lengthByteCount
    guard prefix.count >= 8 + lengthByteCount else { throw .truncated(path: file.path, array: name, offset: start) }
    let length = prefix[8..<8 + lengthByteCount].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= range.upperBound - headerOffset, length <= limits.nameByteCount else {
      throw .truncated(path: file.path, array: name, offset: start)
    }
    let text = try bytes(at: headerOffset, count: length)
    let header: NumPyHeader
    do throws(NumPyHeader.Fault) { header = try NumPyHeader(text) } catch {
      throw .invalidHeader(path: file.path, array: name, reason: error.reason, offset: headerOffset + error.offset)
    }
    return try reference(header, headerOffset: headerOffset, dataOffset: headerOffset + length)
  }

  private func reference(_ header: NumPyHeader, headerOffset: Int, dataOffset: Int) throws(NumPyError) -> TensorRef {
    guard let (format, isBigEndian) = Self.format(header.type) else {
      throw .unknownType(path: file.path, array: name, type: header.type, offset: headerOffset)
    }
    guard header.dimensions.count <= limits.dimensionCount, let shape = Shape(header.dimensions),
      let byteCount = format.byteCount(elements: shape.elementCount)
    else { throw .shapeTooLarge(path: file.path, array: name, offset: headerOffset) }
    guard byteCount == range.upperBound - dataOffset else {
      throw .sizeMismatch(
        path: file.path, array: name, needed: byteCount, found: range.upperBound - dataOffset, offset: dataOffset)
    }
    if header.isFortranOrder, header.dimensions.count > 1, byteCount > 0 {
      let strides = StridedTensorSource.contiguousStrides(of: header.dimensions.reversed()).reversed()
      let source = StridedTensorSource(
        file: file, offset: dataOffset, dimensions: header.dimensions, strides: Array(strides),
        elementByteCount: format.bytesPerBlock)
      let tensor = TensorRef(name: name, shape: shape, format: format, source: source)
      return (isBigEndian ? tensor.byteSwapped() : tensor).paneled(cache)
    }
    let source = FileTensorSource(
      file: file, offset: dataOffset, rowByteCount: format.bytesPerBlock * shape.columns)
    let tensor = TensorRef(name: name, shape: shape, format: format, source: source)
    return isBigEndian ? tensor.byteSwapped() : tensor
  }

  private func bytes(at offset: Int, count: Int) throws(NumPyError) -> [UInt8] {
    do throws(FileError) { return try file.read(at: offset, count: count) } catch { throw .file(error) }
  }

  /// `<` and `>` stand for the byte order, `|` for none.
  private static func format(_ type: String) -> (BlockFormat, isBigEndian: Bool)? {
    guard let order = type.first, let format = formats[String(type.dropFirst())],
      format.bytesPerBlock == 1 ? order == "|" : order == "<" || order == ">"
    else { return nil }
    return (format, order == ">")
  }

  private static let formats: [String: BlockFormat] = [
    "f4": .f32, "f2": .f16, "f8": .f64, "i1": .i8, "i2": .i16, "i4": .i32, "i8": .i64, "u1": .u8, "u2": .u16,
    "u4": .u32, "u8": .u64, "b1": .bool,
  ]
}
