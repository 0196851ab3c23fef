//  PREFIX.index: a table of LevelDB's kind
//    blocks: entries │ restarts: u32 …, count: u32 │ compression: u8, CRC: u32
//      entry: bytes shared with the key before, further bytes, bytes of the value: varints │ bytes of the key │ value
//    footer: handles (offset, length: varints) of two blocks, zeros to 40 │ 0xDB4775248B80FB57
//    values: BundleHeaderProto under the empty key, BundleEntryProto {1 type, 2 shape, 3 shard, 4 offset, 5 size, 7 slices}
//  PREFIX.data-00000-of-00001: the tensors

import Archives
public import Bytes
public import IR
public import SystemPackage

/// A TensorFlow checkpoint of version 2, by its index file.
public struct TensorFlowFile: Sendable {
  public let contents: ContainerContents

  private static let mark: UInt64 = 0xDB47_7524_8B80_FB57

  public static func recognizes(_ file: InputFile) -> Bool {
    guard file.byteCount >= 48, let end = try? file.read(at: file.byteCount - 8, count: 8) else { return false }
    return end.integer(at: 0, as: UInt64.self) == mark
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    let table = TensorFlowTable(file, limits: limits)
    var shards: [InputFile] = []
    var tensors: [TensorRef] = []
    var otherCount = 0
    var names: Set<ByteString> = []
    for entry in try table.entries() {
      if entry.key.isEmpty {
        shards = try Self.shards(try Self.header(entry, in: file), beside: path)
        continue
      }
      guard names.insert(entry.key).inserted else {
        throw table.fault("a key stands twice", at: entry.value.lowerBound)
      }
      guard let row = try Self.entry(entry, in: file, limits: limits) else {
        otherCount += 1
        continue
      }
      guard let shape = Shape(row.dimensions), row.format.byteCount(elements: shape.elementCount) == row.byteCount
      else {
        throw table.fault(
          "\(row.dimensions) of \(row.format.name) in \(row.byteCount) bytes", at: entry.value.lowerBound, entry.key)
      }
      guard shards.indices.contains(row.shard), row.offset >= 0, row.offset <= shards[row.shard].byteCount,
        row.byteCount <= shards[row.shard].byteCount - row.offset
      else { throw table.fault("it does not lie in its shard", at: entry.value.lowerBound, entry.key) }
      tensors.append(
        TensorRef(
          name: entry.key, shape: shape, format: row.format,
          source: FileTensorSource(
            file: shards[row.shard], offset: row.offset, rowByteCount: shape.columns * row.format.bytesPerBlock)))
    }
    contents = ContainerContents(
      tensors: tensors, fileByteCount: shards.reduce(file.byteCount) { $0 + $1.byteCount },
      notes: otherCount > 0 ? ["\(otherCount) entries of text or of parts left alone"] : [])
  }

  private static func converted(_ error: ProtobufError, _ path: FilePath) -> ContainerError {
    switch error {
    case .file(let error): .file(error)
    case .malformed(let reason, let offset): .malformed(.init(path, "TensorFlow", offset: offset), reason: reason)
    }
  }

  /// The number of shards.
  private static func header(_ entry: TensorFlowTable.Entry, in file: InputFile) throws(ContainerError) -> Int {
    var count = 1
    do throws(ProtobufError) {
      var reader = ProtobufReader(file, range: entry.value)
      while let field = try reader.next() {
        if field.number == 1, case .varint(let value) = field.value { count = Int(clamping: value) }
        if field.number == 2, field.value == .varint(1) {
          throw .malformed(reason: "written on a big-endian machine", offset: field.offset)
        }
      }
    } catch { throw converted(error, file.path) }
    return count
  }

  private static func shards(_ count: Int, beside path: FilePath) throws(ContainerError) -> [InputFile] {
    guard (1...99999).contains(count), let stem = path.stem else {
      throw .malformed(.init(path, "TensorFlow"), reason: "\(count) shards")
    }
    func padded(_ number: Int) -> String {
      String(repeating: "0", count: max(0, 5 - String(number).count)) + String(number)
    }
    var result: [InputFile] = []
    for shard in 0..<count {
      let name = "\(stem).data-\(padded(shard))-of-\(padded(count))"
      do throws(FileError) { result.append(try InputFile(path.removingLastComponent().appending(name))) } catch {
        throw .file(error)
      }
    }
    return result
  }

  private static let formats: [UInt64: BlockFormat] = [
    1: .f32, 2: .f64, 3: .i32, 4: .u8, 5: .i16, 6: .i8, 9: .i64, 10: .bool, 14: .bf16, 17: .u16, 19: .f16, 22: .u32,
    23: .u64,
  ]

  private struct Row {
    var format: BlockFormat
    var dimensions: [Int]
    var shard: Int
    var offset: Int
    var byteCount: Int
  }

  /// Nil for text and for tensors in parts.
  private static func entry(
    _ entry: TensorFlowTable.Entry, in file: InputFile, limits: Limits
  ) throws(ContainerError) -> Row? {
    var format: BlockFormat?
    var row = Row(format: .f32, dimensions: [], shard: 0, offset: 0, byteCount: 0)
    do throws(ProtobufError) {
      var reader = ProtobufReader(file, range: entry.value)
      while let field = try reader.next() {
        switch (field.number, field.value) {
        case (1, .varint(let value)): format = formats[value]
        case (2, .bytes(let shape)):
          var axes = ProtobufReader(file, range: shape)
          while let axis = try axes.next() {
            guard axis.number == 2, case .bytes(let dimension) = axis.value else { continue }
            guard row.dimensions.count < limits.dimensionCount else {
              throw .malformed(reason: "too many axes", offset: axis.offset)
            }
            var size = 0
            var fields = ProtobufReader(file, range: dimension)
            while let field = try fields.next() {
              if field.number == 1, case .varint(let value) = field.value { size = Int(clamping: value) }
            }
            row.dimensions.append(size)
          }
        case (3, .varint(let value)): row.shard = Int(clamping: value)
        case (4, .varint(let value)): row.offset = Int(clamping: value)
        case (5, .varint(let value)): row.byteCount = Int(clamping: value)
        case (7, .bytes): return nil
        default: break
        }
      }
    } catch { throw converted(error, file.path) }
    guard let format else { return nil }
    row.format = format
    return row
  }
}

/// The entries of the index, keys put together.
struct TensorFlowTable {
  private let file: InputFile
  private let limits: Limits

  struct Entry {
    let key: ByteString
    /// In the file.
    let value: Range<Int>
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
      let text = try read(handle.value)
      var place = 0
      let offset = try varint(text, &place, base: handle.value.lowerBound)
      let count = try varint(text, &place, base: handle.value.lowerBound)
      result += try block(offset, count)
      guard result.count <= limits.tensorCount else {
        throw .limitExceeded(.init(file.path, "TensorFlow"), item: "tensors", limit: limits.tensorCount)
      }
    }
    return result
  }

  private func read(_ range: Range<Int>) throws(ContainerError) -> [UInt8] {
    do throws(FileError) { return try file.read(at: range.lowerBound, count: range.count) } catch { throw .file(error) }
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
    let bytes = try read(offset..<offset + count + 1)
    guard bytes[count] == 0 else {
      throw .unsupported(.init(file.path, "TensorFlow", offset: offset + count), reason: "a compressed block")
    }
    let restarts = Int(bytes.integer(at: count - 4, as: UInt32.self))
    guard restarts <= (count - 4) / 4 else { throw fault("\(restarts) restarts", at: offset + count - 4) }
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
      else { throw fault("an entry reaches past its block", at: offset + start) }
      key = Array(key[..<shared] + bytes[place..<place + own])
      place += own
      result.append(Entry(key: ByteString(bytes: key), value: offset + place..<offset + place + length))
      place += length
    }
    return result
  }
}
