import Bytes
import IR
import SystemPackage

/// Reads GGUF's values through a window, each count proved against the rest of the file before it is believed.
struct GGUFValueReader {
  /// What is being read and for which key or tensor, for errors.
  var item = "the header"
  var name: ByteString = ""

  private var cursor: FileCursor
  private let limits: Limits
  /// Arrays inside arrays so far: the one kind of value that takes more memory than it takes bytes in the file.
  private var innerArrayCount = 0

  init(_ file: InputFile, limits: Limits) {
    cursor = FileCursor(file)
    self.limits = limits
  }

  var offset: Int { cursor.offset }
  private var path: FilePath { cursor.file.path }

  mutating func readUInt32() throws(GGUFError) -> UInt32 { try integer() }
  mutating func readUInt64() throws(GGUFError) -> UInt64 { try integer() }

  mutating func readBytes(_ count: Int) throws(GGUFError) -> [UInt8] {
    let start = offset
    do throws(FileError) { return try cursor.readBytes(count) } catch { throw located(error, at: start) }
  }

  mutating func readCount(of items: String, minimumByteCount: Int, limit: Int) throws(GGUFError) -> Int {
    let start = offset
    let count: UInt64 = try integer()
    // Divided, not multiplied: nothing can overflow.
    guard count <= UInt64(cursor.remaining / minimumByteCount) else {
      throw .impossibleCount(path: path, item: items, name: name, count: count, offset: start)
    }
    guard count <= limit else { throw .limitExceeded(path: path, item: items, name: name, limit: limit, offset: start) }
    // A sparse file can be longer than any memory; its header may not.
    guard offset <= limits.headerByteCount, count <= (limits.headerByteCount - offset) / minimumByteCount else {
      throw .limitExceeded(
        path: path, item: "bytes in the header", name: "", limit: limits.headerByteCount, offset: start)
    }
    return Int(count)
  }

  mutating func readString(limit: Int) throws(GGUFError) -> ByteString {
    let count = try readCount(of: "bytes in a string of", minimumByteCount: 1, limit: limit)
    return ByteString(bytes: try readBytes(count))
  }

  mutating func readValue() throws(GGUFError) -> MetadataValue {
    switch try readType() {
    case .uint8: .uint8(try integer())
    case .int8: .int8(try integer())
    case .uint16: .uint16(try integer())
    case .int16: .int16(try integer())
    case .uint32: .uint32(try integer())
    case .int32: .int32(try integer())
    case .uint64: .uint64(try integer())
    case .int64: .int64(try integer())
    case .float32: .float32(Float(bitPattern: try integer()))
    case .float64: .float64(Double(bitPattern: try integer()))
    case .bool: .bool(try bool())
    case .string: .string(try readString(limit: limits.headerByteCount))
    case .array: .array(try array(depth: 0))
    }
  }

  private mutating func readType() throws(GGUFError) -> GGUFValueType {
    let start = offset
    let tag: UInt32 = try integer()
    guard let type = GGUFValueType(rawValue: tag) else {
      throw .unknownValueType(path: path, key: name, type: tag, offset: start)
    }
    return type
  }

  private mutating func array(depth: Int) throws(GGUFError) -> MetadataArray {
    guard depth < limits.nestingDepth else {
      throw .limitExceeded(
        path: path, item: "levels of arrays in", name: name, limit: limits.nestingDepth, offset: offset)
    }
    let type = try readType()
    let count = try readCount(
      of: "array elements of", minimumByteCount: type.minimumByteCount, limit: limits.arrayElementCount)
    switch type {
    case .uint8: return .uint8(try readBytes(count))
    case .int8: return .int8(try integers(count))
    case .uint16: return .uint16(try integers(count))
    case .int16: return .int16(try integers(count))
    case .uint32: return .uint32(try integers(count))
    case .int32: return .int32(try integers(count))
    case .uint64: return .uint64(try integers(count))
    case .int64: return .int64(try integers(count))
    case .float32: return .float32(try (integers(count) as [UInt32]).map(Float.init(bitPattern:)))
    case .float64: return .float64(try (integers(count) as [UInt64]).map(Double.init(bitPattern:)))
    case .bool: return .bool(try elements(count) { (reader) throws(GGUFError) in try reader.bool() })
    case .string:
      let limit = limits.headerByteCount
      return .string(try elements(count) { (reader) throws(GGUFError) in try reader.readString(limit: limit) })
    case .array:
      innerArrayCount += count
      guard innerArrayCount <= limits.metadataCount else {
        throw .limitExceeded(
          path: path, item: "arrays inside arrays in", name: name, limit: limits.metadataCount, offset: offset)
      }
      return .array(try elements(count) { (reader) throws(GGUFError) in try reader.array(depth: depth + 1) })
    }
  }

  private mutating func elements<Element>(
    _ count: Int, read: (inout Self) throws(GGUFError) -> Element
  ) throws(GGUFError) -> [Element] {
    var result: [Element] = []
    result.reserveCapacity(count)
    for _ in 0..<count { result.append(try read(&self)) }
    return result
  }

  private mutating func integers<T: FixedWidthInteger & BitwiseCopyable>(_ count: Int) throws(GGUFError) -> [T] {
    try elements(count) { (reader) throws(GGUFError) in try reader.integer() }
  }

  private mutating func bool() throws(GGUFError) -> Bool {
    let value: UInt8 = try integer()
    guard value <= 1 else { throw .invalidBool(path: path, key: name, value: value, offset: offset - 1) }
    return value == 1
  }

  private mutating func integer<T: FixedWidthInteger & BitwiseCopyable>() throws(GGUFError) -> T {
    let start = offset
    do throws(FileError) { return try cursor.readInteger() } catch { throw located(error, at: start) }
  }

  private func located(_ error: FileError, at offset: Int) -> GGUFError {
    guard case .truncated = error else { return .file(error) }
    return .truncated(path: path, item: item, name: name, offset: offset)
  }
}
