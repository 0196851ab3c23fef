import Archives
import Bytes
import IR

/// The entries of the index, keys put together.
struct TensorFlowTable {
  private let file: InputFile
  private let limits: Limits

  struct Entry {
    let key: ByteString
    /// The index, or what a block of it expands to.
    let file: InputFile
    /// In that file.
    let value: Range<Int>
    /// In the index, for errors: its own, or its block's.
    let offset: Int
  }

  init(_ file: InputFile, limits: Limits) {
    self.file = file
    self.limits = limits
  }

  func fault(_ reason: String, at offset: Int, _ name: ByteString = "") -> ContainerError {
    .malformed(.init(file.path, "TensorFlow", name: name, offset: offset), reason: reason)
  }

  func entries() throws(ContainerError) -> [Entry] {
    let footer = file.byteCount - 48
    guard footer >= 0 else { throw fault("too short for an index", at: 0) }
    let bytes = try read(footer..<footer + 40)
    var place = 0
    for _ in 0..<2 { _ = try varint(bytes, &place, base: footer) }
    let offset = try varint(bytes, &place, base: footer)
    let count = try varint(bytes, &place, base: footer)
    var result: [Entry] = []
    for handle in try block(offset, count) {
      let text = try read(handle.value, in: handle.file)
      var place = 0
      let offset = try varint(text, &place, base: handle.offset)
      let count = try varint(text, &place, base: handle.offset)
      result += try block(offset, count)
      guard result.count <= limits.tensorCount else {
        throw .limitExceeded(.init(file.path, "TensorFlow"), item: "tensors", limit: limits.tensorCount)
      }
    }
    return result
  }

  private func read(_ range: Range<Int>, in other: InputFile? = nil) throws(ContainerError) -> [UInt8] {
    do throws(FileError) { return try (other ?? file).read(at: range.lowerBound, count: range.count) } catch {
      throw .file(error)
    }
  }

  private func varint(_ bytes: [UInt8], _ place: inout Int, base: Int) throws(ContainerError) -> Int {
    var value = 0
    var shift = 0
    while place < bytes.count, shift < 56 {
      let byte = bytes[place]
      place += 1
      value |= Int(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
    throw fault("a number that does not end", at: base + place)
  }

  private func block(_ offset: Int, _ count: Int) throws(ContainerError) -> [Entry] {
    guard offset <= file.byteCount - 48, count <= file.byteCount - 48 - offset, count >= 4 else {
      throw fault("a block outside the file", at: min(offset, file.byteCount))
    }
    guard count <= limits.headerByteCount else {
      throw .limitExceeded(.init(file.path, "TensorFlow", offset: offset), item: "bytes", limit: limits.headerByteCount)
    }
    var bytes = try read(offset..<offset + count + 1)
    let compression = bytes.removeLast()
    var source = (file: file, offset: offset)
    switch compression {
    case 0: break
    case 1:
      do throws(Snappy.Fault) { bytes = try Snappy.expand(bytes, limit: limits.headerByteCount) } catch {
        throw fault("a compressed block: \(error.reason)", at: offset + error.offset)
      }
      guard bytes.count >= 4 else { throw fault("a block of \(bytes.count) bytes", at: offset) }
      source = (InputFile(expanded: bytes, path: file.path), 0)
    default:
      throw .unsupported(
        .init(file.path, "TensorFlow", offset: offset + count), reason: "a block compressed by method \(compression)")
    }
    let count = bytes.count
    let restarts = Int(bytes.integer(at: count - 4, as: UInt32.self))
    guard restarts <= (count - 4) / 4 else { throw fault("\(restarts) restarts", at: offset) }
    let end = count - 4 - restarts * 4
    var place = 0
    var key: [UInt8] = []
    var result: [Entry] = []
    while place < end {
      let start = place
      let shared = try varint(bytes, &place, base: offset)
      let own = try varint(bytes, &place, base: offset)
      let length = try varint(bytes, &place, base: offset)
      guard shared <= key.count, own <= end - place, length <= end - place - own,
        shared + own <= limits.nameByteCount
      else { throw fault("an entry reaches past its block", at: compression == 0 ? offset + start : offset) }
      key = Array(key[..<shared] + bytes[place..<place + own])
      place += own
      result.append(
        Entry(
          key: ByteString(bytes: key), file: source.file,
          value: source.offset + place..<source.offset + place + length,
          offset: compression == 0 ? offset + place : offset))
      place += length
    }
    return result
  }
}
