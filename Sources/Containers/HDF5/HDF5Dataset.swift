import Bytes
import IR

/// Finds a dataset's bytes.
struct HDF5Dataset {
  let reader: HDF5Reader
  let name: ByteString
  let shape: Shape
  let format: BlockFormat
  let byteCount: Int
  let filters: [HDF5Filter]
  let chunkLimit: Int
  /// How far each axis may grow; nil: without end.
  let most: [Int?]
  /// One element.
  let fill: [UInt8]

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
    case 3, 4, 5:
      switch try reader.number(at: offset + 1, count: 1) {
      case 0: return try compact(at: offset + 4, count: try reader.number(at: offset + 2, count: 2), rowByteCount)
      case 1: return try contiguous(addressAt: offset + 2, rowByteCount)
      case 2 where version == 3:
        return try chunked(
          treeAt: offset + 3, sizesAt: offset + 3 + reader.offsetSize, rank: try reader.number(at: offset + 2, count: 1)
        )
      case 2: return try chunked(newAt: offset)
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
    if try reader.isUndefined(at: offset) { return HDF5FillSource(element: fill) }
    return try located(try reader.address(at: offset), rowByteCount)
  }

  private func located(_ offset: Int, _ rowByteCount: Int) throws(ContainerError) -> any TensorSource {
    guard filters.isEmpty else { throw fault("filters without chunks", at: offset) }
    guard byteCount <= reader.file.byteCount - offset else {
      throw fault("its \(byteCount) bytes reach past the end of the file", at: offset)
    }
    return FileTensorSource(file: reader.file, offset: offset, rowByteCount: rowByteCount)
  }

  private func chunked(treeAt offset: Int, sizesAt: Int, rank: Int) throws(ContainerError) -> any TensorSource {
    let axes = shape.dimensions.count
    guard rank == axes + 1, axes > 0 else { throw fault("chunks of \(rank) axes", at: offset) }
    var sizes: [Int] = []
    for axis in 0..<axes { sizes.append(try reader.number(at: sizesAt + axis * 4, count: 4)) }
    _ = try chunkByteCount(sizes, at: sizesAt)
    if try reader.isUndefined(at: offset) { return HDF5FillSource(element: fill) }
    var chunks: [HDF5ChunkedSource.Chunk] = []
    // A node takes this much at the least, so that the file's size ends all cycles.
    var budget = reader.file.byteCount / (8 + 2 * reader.offsetSize) + 1
    try collect(tree: try reader.address(at: offset), axes: axes, level: nil, sizes: sizes, into: &chunks, &budget)
    return try source(chunks, sizes: sizes, at: offset)
  }

  /// The chunks in order; those that are missing were never written.
  private func source(
    _ chunks: [HDF5ChunkedSource.Chunk], sizes: [Int], at offset: Int
  ) throws(ContainerError) -> any TensorSource {
    let chunks = chunks.sorted { $0.start.lexicographicallyPrecedes($1.start) }
    for (first, second) in zip(chunks, chunks.dropFirst()) where first.start == second.start {
      throw fault("a chunk stands twice", at: second.offset)
    }
    let wanted = Int.product(of: zip(shape.dimensions, sizes).map { ($0 + $1 - 1) / $1 })
    return HDF5ChunkedSource(
      file: reader.file, dimensions: shape.dimensions, sizes: sizes, chunks: chunks, isComplete: chunks.count == wanted,
      filters: filters, fill: fill)
  }

  /// Layouts of version 4: one of five indices.
  private func chunked(newAt offset: Int) throws(ContainerError) -> any TensorSource {
    let flags = try reader.number(at: offset + 2, count: 1)
    let axes = shape.dimensions.count
    let width = try reader.number(at: offset + 4, count: 1)
    guard try reader.number(at: offset + 3, count: 1) == axes + 1, axes > 0, (1...8).contains(width) else {
      throw fault("chunks of other axes than its own", at: offset)
    }
    var sizes: [Int] = []
    for axis in 0..<axes { sizes.append(try reader.number(at: offset + 5 + axis * width, count: width)) }
    let chunkBytes = try chunkByteCount(sizes, at: offset)
    let kindAt = offset + 5 + (axes + 1) * width
    let kind = try reader.number(at: kindAt, count: 1)
    let isFilteredAlone = kind == 1 && flags & 2 != 0
    let skip = [1: isFilteredAlone ? reader.lengthSize + 4 : 0, 2: 0, 3: 1, 4: 5, 5: 6][kind]
    guard let skip else { throw fault("an index of kind \(kind)", at: kindAt) }
    let addressAt = kindAt + 1 + skip
    if try reader.isUndefined(at: addressAt) { return HDF5FillSource(element: fill) }
    let address = try reader.address(at: addressAt)
    guard let grid = HDF5ChunkGrid(now: shape.dimensions, most: most, sizes: sizes) else {
      throw fault("chunks of \(sizes)", at: offset)
    }
    var chunks: [HDF5ChunkedSource.Chunk] = []
    func add(_ start: [Int], _ address: Int, _ stored: Int, _ skipped: UInt32) throws(ContainerError) {
      guard zip(start, shape.dimensions).allSatisfy({ $0 < $1 }) else { return }
      guard chunks.count < chunkLimit, stored <= reader.file.byteCount - address, stored <= 1 << 28 else {
        throw fault("a chunk of \(stored) bytes reaches past the end of the file", at: address)
      }
      // A chunk that reaches past the dataset may be stored as it is.
      let isPartial = zip(zip(start, sizes), shape.dimensions).contains { $0.0 + $0.1 > $1 }
      chunks.append(
        .init(start: start, offset: address, byteCount: stored, skipped: isPartial && flags & 1 != 0 ? .max : skipped))
    }
    var index = HDF5ChunkIndex(
      reader, name: name, isFiltered: !filters.isEmpty, chunkByteCount: chunkBytes, count: grid.count)
    let found: HDF5ChunkIndex.Found = { (number, address, stored, skipped) throws(ContainerError) in
      try add(grid.start(of: number), address, stored, skipped)
    }
    switch kind {
    case 1:
      let stored = isFilteredAlone ? try reader.number(at: kindAt + 1, count: reader.lengthSize) : chunkBytes
      let skipped = isFilteredAlone ? try reader.number(at: kindAt + 1 + reader.lengthSize, count: 4) : 0
      try add([Int](repeating: 0, count: axes), address, stored, UInt32(truncatingIfNeeded: skipped))
    case 2:
      guard grid.count <= (reader.file.byteCount - address) / chunkBytes else {
        throw fault("\(grid.count) chunks reach past the end of the file", at: address)
      }
      for number in 0..<grid.count { try found(number, address + number * chunkBytes, chunkBytes, 0) }
    case 3: try index.fixedArray(at: address, found)
    case 4: try index.extensibleArray(at: address, found)
    default: try collect(newTree: address, axes: axes, sizes: sizes, chunkBytes: chunkBytes, add)
    }
    return try source(chunks, sizes: sizes, at: offset)
  }

  private func chunkByteCount(_ sizes: [Int], at offset: Int) throws(ContainerError) -> Int {
    guard sizes.allSatisfy({ $0 > 0 && $0 <= 1 << 32 }), let elements = Int.product(of: sizes),
      let chunkBytes = format.byteCount(elements: elements), chunkBytes <= 1 << 27
    else { throw fault("chunks of \(sizes)", at: offset) }
    return chunkBytes
  }

  private func collect(
    newTree address: Int, axes: Int, sizes: [Int], chunkBytes: Int,
    _ add: ([Int], Int, Int, UInt32) throws(ContainerError) -> Void
  ) throws(ContainerError) {
    let tree = try HDF5Tree(reader, at: address, kinds: 10...11, limit: chunkLimit)
    let isFiltered = tree.kind == 11
    for record in tree.records {
      let extra = record.count - reader.offsetSize - 8 * axes
      guard isFiltered ? (5...12).contains(extra) : extra == 0 else {
        throw fault("a chunk's record of \(record.count) bytes", at: address)
      }
      let place = record[..<reader.offsetSize].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      guard let place = Int(exactly: place), place <= reader.file.byteCount - reader.base else {
        throw fault("the address \(place) is outside the file", at: address)
      }
      var stored = chunkBytes
      var skipped: UInt32 = 0
      if isFiltered {
        let bytes = record[reader.offsetSize..<reader.offsetSize + extra - 4]
        stored = Int(clamping: bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        skipped = record.integer(at: reader.offsetSize + extra - 4)
      }
      var start: [Int] = []
      for axis in 0..<axes {
        let scaled = record.integer(at: reader.offsetSize + extra + 8 * axis, as: UInt64.self)
        let (element, overflow) = Int(clamping: scaled).multipliedReportingOverflow(by: sizes[axis])
        guard !overflow else { throw fault("a chunk at \(scaled) of axis \(axis)", at: address) }
        start.append(element)
      }
      try add(start, reader.base + place, stored, skipped)
    }
  }

  private func collect(
    tree address: Int, axes: Int, level above: Int?, sizes: [Int], into chunks: inout [HDF5ChunkedSource.Chunk],
    _ budget: inout Int
  ) throws(ContainerError) {
    guard budget > 0 else { throw fault("an index that contains itself", at: address) }
    budget -= 1
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
        try collect(tree: child, axes: axes, level: level, sizes: sizes, into: &chunks, &budget)
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

/// Which chunk a number means: rows of chunks of the dataset as large as it may grow, the endless axis first.
struct HDF5ChunkGrid {
  private let sizes: [Int]
  /// Axes from the slowest to the fastest, with their chunks; the slowest one's number is not needed.
  private let order: [(axis: Int, chunks: Int)]
  /// One more than the largest number that an element of the dataset as it is can need.
  let count: Int

  init?(now: [Int], most: [Int?], sizes: [Int]) {
    self.sizes = sizes
    var order: [(axis: Int, chunks: Int)] = []
    for axis in now.indices {
      let extent = most[axis] ?? now[axis]
      guard extent >= now[axis] else { return nil }
      order.append((axis, extent / sizes[axis] + (extent % sizes[axis] == 0 ? 0 : 1)))
    }
    if let endless = most.firstIndex(where: { $0 == nil }) { order.insert(order.remove(at: endless), at: 0) }
    self.order = order
    guard now.allSatisfy({ $0 > 0 }) else {
      count = 0
      return
    }
    var last = 0
    for (axis, chunks) in order {
      let (product, overflow) = last.multipliedReportingOverflow(by: chunks)
      let (sum, tooLarge) = product.addingReportingOverflow((now[axis] - 1) / sizes[axis])
      if overflow || tooLarge || sum >= 1 << 62 { return nil }
      last = sum
    }
    count = last + 1
  }

  /// The chunk's first element, along each axis.
  func start(of number: Int) -> [Int] {
    var rest = number
    var result = [Int](repeating: 0, count: sizes.count)
    for (position, entry) in order.enumerated().reversed() {
      let place = position == 0 ? rest : rest % entry.chunks
      rest /= max(1, entry.chunks)
      result[entry.axis] = place * sizes[entry.axis]
    }
    return result
  }
}
