import Bytes
import IR
import SystemPackage

/// Numbers and addresses of one file, as wide as its superblock says.
struct HDF5Reader: Sendable {
  let file: InputFile
  let offsetSize: Int
  let lengthSize: Int
  /// What addresses count from.
  let base: Int

  /// The reader and the address of the root group's header.
  static func open(_ file: InputFile) throws(ContainerError) -> (HDF5Reader, root: Int) {
    let start = HDF5Reader(file: file, offsetSize: 8, lengthSize: 8, base: 0)
    let version = try start.number(at: 8, count: 1)
    let isOld = version <= 1
    guard version <= 3 else {
      throw .unsupported(.init(file.path, "HDF5", offset: 8), reason: "superblock version \(version)")
    }
    let offsetSize = try start.number(at: isOld ? 13 : 9, count: 1)
    let lengthSize = try start.number(at: isOld ? 14 : 10, count: 1)
    guard [2, 4, 8].contains(offsetSize), [2, 4, 8].contains(lengthSize) else {
      throw start.fault("addresses of \(offsetSize) bytes", at: 9)
    }
    let addresses = isOld ? 24 + (version == 1 ? 4 : 0) : 12
    let base = try start.number(at: addresses, count: offsetSize)
    let reader = HDF5Reader(file: file, offsetSize: offsetSize, lengthSize: lengthSize, base: base)
    let end = try start.number(at: addresses + 2 * offsetSize, count: offsetSize)
    guard end <= file.byteCount else {
      throw start.fault("it is cut off at \(file.byteCount) of \(end) bytes; fetch the file again", at: 0)
    }
    // Old: base, free space, end, driver, then the root's entry of name and header. New: base, extension, end, root.
    let root = addresses + (isOld ? 5 : 3) * offsetSize
    return (reader, try reader.address(at: root))
  }

  func fault(_ reason: String, at offset: Int, name: ByteString = "") -> ContainerError {
    .malformed(.init(file.path, "HDF5", name: name, offset: offset), reason: reason)
  }

  func bytes(at offset: Int, count: Int) throws(ContainerError) -> [UInt8] {
    guard count <= 1 << 24 else { throw fault("a header of \(count) bytes", at: offset) }
    do throws(FileError) { return try file.read(at: offset, count: count) } catch { throw .file(error) }
  }

  func number(at offset: Int, count: Int) throws(ContainerError) -> Int {
    let bytes = try bytes(at: offset, count: count)
    guard let value = Int(exactly: bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }) else {
      throw fault("a number beyond 2^63", at: offset)
    }
    return value
  }

  func isUndefined(at offset: Int) throws(ContainerError) -> Bool {
    try bytes(at: offset, count: offsetSize).allSatisfy { $0 == 0xFF }
  }

  /// An address stored at `offset`, as a place in the file.
  func address(at offset: Int) throws(ContainerError) -> Int {
    let value = try number(at: offset, count: offsetSize)
    guard value <= file.byteCount - base, base <= file.byteCount else {
      throw fault("the address \(value) is outside the file", at: offset)
    }
    return base + value
  }

  func expect(_ mark: String, at offset: Int) throws(ContainerError) {
    guard try bytes(at: offset, count: mark.utf8.count) == Array(mark.utf8) else {
      throw fault("no \(mark)", at: offset)
    }
  }
}

/// A local heap: the names of a group.
struct HDF5Heap {
  private let bytes: [UInt8]
  private let reader: HDF5Reader
  private let offset: Int

  init(_ reader: HDF5Reader, at offset: Int) throws(ContainerError) {
    try reader.expect("HEAP", at: offset)
    let count = try reader.number(at: offset + 8, count: reader.lengthSize)
    let data = try reader.address(at: offset + 8 + 2 * reader.lengthSize)
    bytes = try reader.bytes(at: data, count: count)
    self.reader = reader
    self.offset = offset
  }

  func name(at place: Int) throws(ContainerError) -> [UInt8] {
    guard place < bytes.count, let end = bytes[place...].firstIndex(of: 0) else {
      throw reader.fault("a name outside its heap", at: offset)
    }
    return Array(bytes[place..<end])
  }
}

/// The messages of an object header of either version, continuations included.
struct HDF5ObjectHeader {
  struct Message {
    let type: Int
    let flags: UInt8
    /// Of the message's data, in the file.
    let offset: Int
    let byteCount: Int
  }

  private(set) var messages: [Message] = []

  init(_ reader: HDF5Reader, at offset: Int, limit: Int) throws(ContainerError) {
    let start = try reader.bytes(at: offset, count: 6)
    var blocks: [Range<Int>] = []
    let isNew = Array(start[..<4]) == Array("OHDR".utf8)
    var order = 0
    if isNew {
      let flags = Int(start[5])
      var at = offset + 6
      if flags & 0x20 != 0 { at += 16 }
      if flags & 0x10 != 0 { at += 4 }
      order = flags & 4 != 0 ? 2 : 0
      let width = 1 << (flags & 3)
      let count = try reader.number(at: at, count: width)
      guard count <= 1 << 24 else { throw reader.fault("an object header of \(count) bytes", at: offset) }
      blocks = [at + width..<at + width + count]
    } else {
      guard start[0] == 1 else { throw reader.fault("no object header", at: offset) }
      let count = try reader.number(at: offset + 8, count: 4)
      guard count <= 1 << 24 else { throw reader.fault("an object header of \(count) bytes", at: offset) }
      blocks = [offset + 16..<offset + 16 + count]
    }
    let prefix = isNew ? 4 + order : 8
    var next = 0
    while next < blocks.count {
      guard blocks.count <= 256 else { throw reader.fault("an object header in too many pieces", at: offset) }
      let block = blocks[next]
      next += 1
      let bytes = try reader.bytes(at: block.lowerBound, count: block.count)
      var at = 0
      while bytes.count - at >= prefix {
        let type = isNew ? Int(bytes[at]) : Int(bytes[at]) | Int(bytes[at + 1]) << 8
        let sizeAt = at + (isNew ? 1 : 2)
        let count = Int(bytes[sizeAt]) | Int(bytes[sizeAt + 1]) << 8
        let data = at + prefix
        guard count <= bytes.count - data else {
          throw reader.fault("a message reaches past its header", at: block.lowerBound + at)
        }
        if type == 0x10 {
          let place = try reader.address(at: block.lowerBound + data)
          let length = try reader.number(at: block.lowerBound + data + reader.offsetSize, count: reader.lengthSize)
          guard length >= 8, length <= 1 << 24 else {
            throw reader.fault("a continuation of \(length) bytes", at: place)
          }
          if isNew {
            try reader.expect("OCHK", at: place)
            blocks.append(place + 4..<place + length - 4)
          } else {
            blocks.append(place..<place + length)
          }
        } else {
          messages.append(
            Message(type: type, flags: bytes[sizeAt + 2], offset: block.lowerBound + data, byteCount: count))
        }
        guard messages.count <= limit else { throw reader.fault("too many messages", at: offset) }
        at = data + count
      }
    }
  }
}
