import Archives
import Bytes
import IR

/// Shapes and types as messages state them.
enum HDF5Type {
  static func dimensions(_ reader: HDF5Reader, at offset: Int, limit: Int) throws(ContainerError) -> [Int] {
    let version = try reader.number(at: offset, count: 1)
    let rank = try reader.number(at: offset + 1, count: 1)
    guard version == 1 || version == 2, rank <= limit else { throw reader.fault("a shape of \(rank) axes", at: offset) }
    let start = offset + (version == 1 ? 8 : 4)
    var result: [Int] = []
    for axis in 0..<rank {
      result.append(try reader.number(at: start + axis * reader.lengthSize, count: reader.lengthSize))
    }
    return result
  }

  /// Nil for what is no plain little-endian number.
  static func format(_ reader: HDF5Reader, at offset: Int) throws(ContainerError) -> BlockFormat? {
    let head = try reader.bytes(at: offset, count: 8)
    let size = try reader.number(at: offset + 4, count: 4)
    switch head[0] & 15 {
    case 0:
      guard head[1] & 1 == 0 else { throw unsupported(reader, offset) }
      let isSigned = head[1] & 8 != 0
      return [
        1: isSigned ? .i8 : .u8, 2: isSigned ? .i16 : .u16, 4: isSigned ? .i32 : .u32, 8: isSigned ? .i64 : .u64,
      ][
        size] ?? nil
    case 1:
      guard head[1] & 0x41 == 0 else { throw unsupported(reader, offset) }
      let exponent = try reader.number(at: offset + 13, count: 1)
      return switch (size, exponent) {
      case (2, 5): .f16
      case (2, 8): .bf16
      case (4, 8): .f32
      case (8, 11): .f64
      default: nil
      }
    case 8:
      // h5py's booleans: an enumeration of bytes.
      return size == 1 ? .bool : nil
    default: return nil
    }
  }

  private static func unsupported(_ reader: HDF5Reader, _ offset: Int) -> ContainerError {
    .unsupported(.init(reader.file.path, "HDF5", offset: offset), reason: "a big-endian dataset")
  }
}

/// What was done to each chunk.
enum HDF5Filter: Sendable {
  case deflate
  case shuffle(width: Int)
  /// A checksum of four bytes behind.
  case fletcher32

  static func list(_ reader: HDF5Reader, at offset: Int) throws(ContainerError) -> [HDF5Filter] {
    let version = try reader.number(at: offset, count: 1)
    let count = try reader.number(at: offset + 1, count: 1)
    guard version == 1 || version == 2, count <= 32 else { throw reader.fault("\(count) filters", at: offset) }
    var at = offset + (version == 1 ? 8 : 2)
    var result: [HDF5Filter] = []
    for _ in 0..<count {
      let id = try reader.number(at: at, count: 2)
      let hasName = version == 1 || id >= 256
      let nameCount = hasName ? try reader.number(at: at + 2, count: 2) : 0
      let valuesAt = at + (hasName ? 6 : 4)
      let valueCount = try reader.number(at: valuesAt, count: 2)
      let values = valuesAt + 2 + (version == 1 ? (nameCount + 7) / 8 * 8 : nameCount)
      switch id {
      case 1: result.append(.deflate)
      case 2:
        let width = valueCount > 0 ? try reader.number(at: values, count: 4) : 0
        guard (1...8).contains(width) else { throw reader.fault("a shuffle of \(width) bytes", at: at) }
        result.append(.shuffle(width: width))
      case 3: result.append(.fletcher32)
      default: throw .unsupported(.init(reader.file.path, "HDF5", offset: at), reason: "filter \(id)")
      }
      at = values + valueCount * 4 + (version == 1 && valueCount % 2 == 1 ? 4 : 0)
    }
    return result
  }
}

/// Finds a dataset's bytes.
struct HDF5Dataset {
  let reader: HDF5Reader
  let name: ByteString
  let shape: Shape
  let format: BlockFormat
  let byteCount: Int
  let filters: [HDF5Filter]
  let chunkLimit: Int

  private func fault(_ reason: String, at offset: Int) -> ContainerError {
    reader.fault(reason, at: offset, name: name)
  }

  func source(layoutAt offset: Int) throws(ContainerError) -> any TensorSource {
    let version = try reader.number(at: offset, count: 1)
    let rowByteCount = shape.columns * format.bytesPerBlock
    switch version {
    case 1, 2:
      let rank = try reader.number(at: offset + 1, count: 1)
      let kind = try reader.number(at: offset + 2, count: 1)
      if kind == 0 {
        let data = offset + 8 + rank * 4
        return try compact(at: data + 4, count: try reader.number(at: data, count: 4), rowByteCount)
      }
      if kind == 1 { return try contiguous(addressAt: offset + 8, rowByteCount) }
      return try chunked(treeAt: offset + 8, sizesAt: offset + 8 + reader.offsetSize, rank: rank)
    case 3, 4:
      switch try reader.number(at: offset + 1, count: 1) {
      case 0: return try compact(at: offset + 4, count: try reader.number(at: offset + 2, count: 2), rowByteCount)
      case 1: return try contiguous(addressAt: offset + 2, rowByteCount)
      case 2 where version == 3:
        return try chunked(
          treeAt: offset + 3, sizesAt: offset + 3 + reader.offsetSize, rank: try reader.number(at: offset + 2, count: 1)
        )
      default: break
      }
    default: break
    }
    throw .unsupported(
      .init(reader.file.path, "HDF5", name: name, offset: offset), reason: "a layout of version \(version) of this kind"
    )
  }

  private func compact(at offset: Int, count: Int, _ rowByteCount: Int) throws(ContainerError) -> any TensorSource {
    guard count >= byteCount else { throw fault("\(shape) needs \(byteCount) bytes and has \(count)", at: offset) }
    return try located(offset, rowByteCount)
  }

  private func contiguous(addressAt offset: Int, _ rowByteCount: Int) throws(ContainerError) -> any TensorSource {
    if try reader.isUndefined(at: offset) { return try neverWritten(at: offset) }
    return try located(try reader.address(at: offset), rowByteCount)
  }

  private func located(_ offset: Int, _ rowByteCount: Int) throws(ContainerError) -> any TensorSource {
    guard filters.isEmpty else { throw fault("filters without chunks", at: offset) }
    guard byteCount <= reader.file.byteCount - offset else {
      throw fault("its \(byteCount) bytes reach past the end of the file", at: offset)
    }
    return FileTensorSource(file: reader.file, offset: offset, rowByteCount: rowByteCount)
  }

  private func neverWritten(at offset: Int) throws(ContainerError) -> any TensorSource {
    guard byteCount == 0 else { throw fault("its elements were never written", at: offset) }
    return MemoryTensorSource(bytes: [], rowByteCount: 0)
  }

  private func chunked(treeAt offset: Int, sizesAt: Int, rank: Int) throws(ContainerError) -> any TensorSource {
    let axes = shape.dimensions.count
    guard rank == axes + 1, axes > 0 else { throw fault("chunks of \(rank) axes", at: offset) }
    var sizes: [Int] = []
    for axis in 0..<axes { sizes.append(try reader.number(at: sizesAt + axis * 4, count: 4)) }
    guard sizes.allSatisfy({ $0 > 0 }), let elements = Int.product(of: sizes),
      let chunkBytes = format.byteCount(elements: elements), chunkBytes <= 1 << 27
    else { throw fault("chunks of \(sizes)", at: sizesAt) }
    if try reader.isUndefined(at: offset) { return try neverWritten(at: offset) }
    var chunks: [HDF5ChunkedSource.Chunk] = []
    try collect(tree: try reader.address(at: offset), axes: axes, level: nil, sizes: sizes, into: &chunks)
    chunks.sort { $0.start.lexicographicallyPrecedes($1.start) }
    let wanted = zip(shape.dimensions, sizes).reduce(1) { product, pair in
      let (result, overflow) = product.multipliedReportingOverflow(by: pair.0 / pair.1 + (pair.0 % pair.1 == 0 ? 0 : 1))
      return overflow ? Int.max : result
    }
    guard chunks.count == wanted, Set(chunks.map(\.start)).count == wanted else {
      throw fault("\(chunks.count) chunks where its shape needs \(wanted)", at: offset)
    }
    return HDF5ChunkedSource(
      file: reader.file, dimensions: shape.dimensions, sizes: sizes, chunks: chunks, filters: filters,
      elementByteCount: format.bytesPerBlock)
  }

  private func collect(
    tree address: Int, axes: Int, level above: Int?, sizes: [Int], into chunks: inout [HDF5ChunkedSource.Chunk]
  ) throws(ContainerError) {
    try reader.expect("TREE", at: address)
    let level = try reader.number(at: address + 5, count: 1)
    let count = try reader.number(at: address + 6, count: 2)
    guard try reader.number(at: address + 4, count: 1) == 1, above.map({ level == $0 - 1 }) ?? (level < 16) else {
      throw fault("a B-tree of another kind", at: address)
    }
    let keySize = 8 + 8 * (axes + 1)
    let node = try reader.bytes(
      at: address + 8 + 2 * reader.offsetSize, count: count * (keySize + reader.offsetSize))
    for index in 0..<count {
      let key = index * (keySize + reader.offsetSize)
      let child = try reader.address(at: address + 8 + 2 * reader.offsetSize + key + keySize)
      guard level == 0 else {
        try collect(tree: child, axes: axes, level: level, sizes: sizes, into: &chunks)
        continue
      }
      let stored = Int(node.integer(at: key, as: UInt32.self))
      var start: [Int] = []
      for axis in 0..<axes {
        let place = node.integer(at: key + 8 + axis * 8, as: UInt64.self)
        guard place < UInt64(max(1, shape.dimensions[axis])), Int(place) % sizes[axis] == 0 else {
          throw fault("a chunk at \(place) of axis \(axis)", at: address)
        }
        start.append(Int(place))
      }
      guard chunks.count < chunkLimit, stored <= reader.file.byteCount - child, stored <= 1 << 28 else {
        throw fault("a chunk of \(stored) bytes reaches past the end of the file", at: child)
      }
      chunks.append(
        .init(start: start, offset: child, byteCount: stored, skipped: node.integer(at: key + 4, as: UInt32.self)))
    }
  }
}

/// Rows of a dataset in chunks. Reads every chunk that holds any of the rows: use it through `PanelSource`.
struct HDF5ChunkedSource: TensorSource {
  struct Chunk: Sendable {
    /// Its first element, in elements along each axis.
    let start: [Int]
    let offset: Int
    let byteCount: Int
    /// Bit i: filter i was not used.
    let skipped: UInt32
  }

  let file: InputFile
  let dimensions: [Int]
  let sizes: [Int]
  let chunks: [Chunk]
  let filters: [HDF5Filter]
  let elementByteCount: Int

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let axes = dimensions.count
    let columns = dimensions[axes - 1]
    // Rows of the flattened leading axes for one step of the first axis.
    let stride = axes == 1 ? 1 : dimensions[1..<max(1, axes - 1)].reduce(1, *)
    for chunk in chunks {
      if axes > 1 {
        let span = chunk.start[0] * stride..<min(chunk.start[0] + sizes[0], dimensions[0]) * stride
        if !span.overlaps(rows) { continue }
      }
      let data = try expanded(chunk)
      let width = min(sizes[axes - 1], columns - chunk.start[axes - 1])
      let chunkRows = sizes.dropLast().reduce(1, *)
      for chunkRow in 0..<chunkRows {
        guard let row = row(of: chunkRow, in: chunk), rows.contains(row) else { continue }
        let from = chunkRow * sizes[axes - 1] * elementByteCount
        bytes.copy(
          from: data.rawSpan.extracting(from..<from + width * elementByteCount),
          at: ((row - rows.lowerBound) * columns + chunk.start[axes - 1]) * elementByteCount)
      }
    }
  }

  /// The dataset's row that a chunk's row is, or nil where the chunk reaches past the dataset.
  private func row(of chunkRow: Int, in chunk: Chunk) -> Int? {
    var rest = chunkRow
    var result = 0
    var stride = 1
    for axis in (0..<dimensions.count - 1).reversed() {
      let place = chunk.start[axis] + rest % sizes[axis]
      guard place < dimensions[axis] else { return nil }
      rest /= sizes[axis]
      result += place * stride
      stride *= dimensions[axis]
    }
    return result
  }

  private func expanded(_ chunk: Chunk) throws(FileError) -> [UInt8] {
    let byteCount = sizes.reduce(elementByteCount, *)
    var data = try file.read(at: chunk.offset, count: chunk.byteCount)
    for (index, filter) in filters.enumerated().reversed() where chunk.skipped >> UInt32(index) & 1 == 0 {
      switch filter {
      case .deflate:
        do throws(Inflate.Fault) { data = try Inflate.zlib(data, limit: byteCount + 8) } catch {
          throw .damaged(path: file.path, reason: "HDF5 chunk: \(error.reason)", offset: chunk.offset + error.offset)
        }
      case .shuffle(let width):
        let count = data.count / width
        var result = data
        for index in 0..<count {
          for byte in 0..<width { result[index * width + byte] = data[byte * count + index] }
        }
        data = result
      case .fletcher32: data = Array(data.dropLast(4))
      }
    }
    guard data.count == byteCount else {
      throw .damaged(
        path: file.path, reason: "HDF5 chunk of \(data.count) bytes, not \(byteCount)", offset: chunk.offset)
    }
    return data
  }
}
