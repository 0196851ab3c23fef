//  message: fields one after the other; field: key: varint = number << 3 | kind, then
//    kind 0  varint            kind 1  eight bytes
//    kind 2  length: varint, bytes (text, a message, packed numbers)
//    kind 5  four bytes
//
//  protobuf.dev/programming-guides/encoding. Groups (kinds 3 and 4) are older than any checkpoint.

public import Bytes

/// Walks the fields of a message that lies in a file; never past its end.
public struct ProtobufReader {
  public enum Value: Hashable, Sendable {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    /// Where in the file the bytes lie.
    case bytes(Range<Int>)
  }

  public struct Field: Hashable, Sendable {
    public let number: Int
    public let value: Value
    /// Of the key.
    public let offset: Int
  }

  public let file: InputFile
  public let range: Range<Int>
  private var cursor: FileCursor

  /// - Parameter range: in the file, known to lie in it.
  public init(_ file: InputFile, range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= file.byteCount, "a message outside its file")
    self.file = file
    self.range = range
    cursor = FileCursor(file, offset: range.lowerBound, windowByteCount: min(max(range.count, 16), 1 << 14))
  }

  public var offset: Int { cursor.offset }

  /// The next field, or nil at the end of the message.
  public mutating func next() throws(ProtobufError) -> Field? {
    let start = cursor.offset
    guard start < range.upperBound else { return nil }
    let key = try varint()
    let number = key >> 3
    guard number >= 1, number <= 0x1FFF_FFFF else { throw .malformed(reason: "field \(number)", offset: start) }
    let value: Value
    switch key & 7 {
    case 0: value = .varint(try varint())
    case 1: value = .fixed64(try bits(8))
    case 5: value = .fixed32(UInt32(truncatingIfNeeded: try bits(4)))
    case 2:
      let length = try varint()
      let first = cursor.offset
      guard length <= UInt64(range.upperBound - first) else {
        throw .malformed(reason: "field \(number) of \(length) bytes reaches past its message", offset: start)
      }
      do throws(FileError) { try cursor.skip(Int(length)) } catch { throw .file(error) }
      value = .bytes(first..<first + Int(length))
    default: throw .malformed(reason: "field \(number) of kind \(key & 7)", offset: start)
    }
    return Field(number: Int(number), value: value, offset: start)
  }

  /// One number of the packed ones that the message's bytes are.
  public mutating func nextPackedVarint() throws(ProtobufError) -> UInt64? {
    cursor.offset < range.upperBound ? try varint() : nil
  }

  private mutating func varint() throws(ProtobufError) -> UInt64 {
    let start = cursor.offset
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try bits(1)
      guard shift < 63 || shift == 63 && byte <= 1 else { throw .malformed(reason: "a number too long", offset: start) }
      value |= (byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
  }

  private mutating func bits(_ byteCount: Int) throws(ProtobufError) -> UInt64 {
    guard byteCount <= range.upperBound - cursor.offset else {
      throw .malformed(reason: "a message ends within a number", offset: cursor.offset)
    }
    do throws(FileError) { return try cursor.readBits(byteCount: byteCount) } catch { throw .file(error) }
  }
}

/// Why bytes are no protobuf message.
public enum ProtobufError: Error, Hashable, Sendable {
  case file(FileError)
  case malformed(reason: String, offset: Int)
}
