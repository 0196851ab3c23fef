//  PREFIX.index: a table of LevelDB's kind
//    blocks: entries │ restarts: u32 …, count: u32 │ compression: u8 (0 none, 1 Snappy), CRC: u32
//      entry: bytes shared with the key before, further bytes, bytes of the value: varints │ bytes of the key │ value
//    footer: handles (offset, length: varints) of two blocks, zeros to 40 │ 0xDB4775248B80FB57
//    values: BundleHeaderProto under the empty key, BundleEntryProto {1 type, 2 shape, 3 shard, 4 offset, 5 size, 7 slices}
//      a variable in parts has an entry that lists them, and one for each part, whose key begins with a zero
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
    var parts: [ByteString: TensorRef] = [:]
    for entry in try table.entries() {
      if entry.key.isEmpty {
        shards = try Self.shards(try Self.header(entry), beside: path)
        continue
      }
      guard names.insert(entry.key).inserted else {
        throw table.fault("a key stands twice", at: entry.offset)
      }
      guard let row = try Self.entry(entry, limits: limits) else {
        otherCount += 1
        continue
      }
      let tensor = try Self.tensor(entry, row, shards: shards, parts: parts, table)
      // Keys are in order, so that parts come before what they are parts of.
      if TensorFlowSlice.isKeyOfPart(entry.key) { parts[entry.key] = tensor } else { tensors.append(tensor) }
    }
    contents = ContainerContents(
      tensors: tensors, fileByteCount: shards.reduce(file.byteCount) { $0 + $1.byteCount },
      notes: otherCount > 0 ? ["\(otherCount) entries of text left alone"] : [])
  }

  private static func tensor(
    _ entry: TensorFlowTable.Entry, _ row: Row, shards: [InputFile], parts: [ByteString: TensorRef],
    _ table: TensorFlowTable
  ) throws(ContainerError) -> TensorRef {
    guard let shape = Shape(row.dimensions) else {
      throw table.fault("the shape \(row.dimensions) is impossible", at: entry.offset, entry.key)
    }
    if !row.slices.isEmpty, !TensorFlowSlice.isKeyOfPart(entry.key) {
      let own = row.slices.compactMap { slice in parts[slice.key(of: entry.key)].map { (slice, $0) } }
      guard own.count == row.slices.count, own.allSatisfy({ $0.1.format == row.format }),
        let source = TensorFlowSlice.joined(own, shape: shape)
      else {
        throw table.fault("its \(row.slices.count) parts do not make \(shape)", at: entry.offset, entry.key)
      }
      return TensorRef(name: entry.key, shape: shape, format: row.format, source: source)
    }
    guard row.format.byteCount(elements: shape.elementCount) == row.byteCount else {
      throw table.fault("\(shape) of \(row.format.name) in \(row.byteCount) bytes", at: entry.offset, entry.key)
    }
    guard shards.indices.contains(row.shard), row.offset >= 0, row.offset <= shards[row.shard].byteCount,
      row.byteCount <= shards[row.shard].byteCount - row.offset
    else { throw table.fault("it does not lie in its shard", at: entry.offset, entry.key) }
    return TensorRef(
      name: entry.key, shape: shape, format: row.format,
      source: FileTensorSource(
        file: shards[row.shard], offset: row.offset, rowByteCount: shape.columns * row.format.bytesPerBlock))
  }

  private static func converted(_ error: ProtobufError, _ path: FilePath) -> ContainerError {
    switch error {
    case .file(let error): .file(error)
    case .malformed(let reason, let offset): .malformed(.init(path, "TensorFlow", offset: offset), reason: reason)
    }
  }

  /// The number of shards.
  private static func header(_ entry: TensorFlowTable.Entry) throws(ContainerError) -> Int {
    var count = 1
    do throws(ProtobufError) {
      var reader = ProtobufReader(entry.file, range: entry.value)
      while let field = try reader.next() {
        if field.number == 1, case .varint(let value) = field.value { count = Int(clamping: value) }
        if field.number == 2, field.value == .varint(1) {
          throw .malformed(reason: "written on a big-endian machine", offset: field.offset)
        }
      }
    } catch { throw converted(error, entry.file.path) }
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
    /// Of a variable in parts, which has no bytes itself.
    var slices: [TensorFlowSlice] = []
  }

  /// Nil for text.
  private static func entry(
    _ entry: TensorFlowTable.Entry, limits: Limits
  ) throws(ContainerError) -> Row? {
    var format: BlockFormat?
    var row = Row(format: .f32, dimensions: [], shard: 0, offset: 0, byteCount: 0)
    do throws(ProtobufError) {
      var reader = ProtobufReader(entry.file, range: entry.value)
      while let field = try reader.next() {
        switch (field.number, field.value) {
        case (1, .varint(let value)): format = formats[value]
        case (2, .bytes(let shape)):
          var axes = ProtobufReader(entry.file, range: shape)
          while let axis = try axes.next() {
            guard axis.number == 2, case .bytes(let dimension) = axis.value else { continue }
            guard row.dimensions.count < limits.dimensionCount else {
              throw .malformed(reason: "too many axes", offset: axis.offset)
            }
            var size = 0
            var fields = ProtobufReader(entry.file, range: dimension)
            while let field = try fields.next() {
              if field.number == 1, case .varint(let value) = field.value { size = Int(clamping: value) }
            }
            row.dimensions.append(size)
          }
        case (3, .varint(let value)): row.shard = Int(clamping: value)
        case (4, .varint(let value)): row.offset = Int(clamping: value)
        case (5, .varint(let value)): row.byteCount = Int(clamping: value)
        case (7, .bytes(let slice)):
          guard row.slices.count < limits.tensorCount else {
            throw .malformed(reason: "too many parts", offset: field.offset)
          }
          row.slices.append(try .read(entry.file, slice, limit: limits.dimensionCount))
        default: break
        }
      }
    } catch { throw converted(error, entry.file.path) }
    guard let format else { return nil }
    row.format = format
    return row
  }
}
