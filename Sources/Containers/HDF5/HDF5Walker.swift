import Bytes
import IR
import SystemPackage

/// Follows groups from the root and makes a tensor of every dataset of numbers.
struct HDF5Walker {
  private let reader: HDF5Reader
  private let limits: Limits
  private let root: Int
  private(set) var tensors: [TensorRef] = []
  private(set) var otherCount = 0
  private var openGroups: Set<Int> = []
  /// Nodes that may still be visited: links can form cycles.
  private var budget: Int
  private let cache = PanelCache()

  init(_ file: InputFile, limits: Limits) throws(ContainerError) {
    (reader, root) = try HDF5Reader.open(file)
    self.limits = limits
    budget = min(limits.tensorCount, 1 << 20)
  }

  mutating func walk() throws(ContainerError) { try visit(root, path: [], depth: 0) }

  private mutating func spend(at offset: Int) throws(ContainerError) {
    guard budget > 0 else {
      throw .limitExceeded(.init(reader.file.path, "HDF5", offset: offset), item: "nodes", limit: limits.tensorCount)
    }
    budget -= 1
  }

  private mutating func visit(_ address: Int, path: [UInt8], depth: Int) throws(ContainerError) {
    guard depth <= 32 else { throw reader.fault("groups inside each other more than 32 deep", at: address) }
    try spend(at: address)
    let messages = try HDF5ObjectHeader(reader, at: address, limit: 1 << 16).messages.map {
      message throws(ContainerError) in try shared(message)
    }
    if messages.contains(where: { $0.type == 8 }) {
      return try add(messages, name: ByteString(bytes: path), at: address)
    }
    guard openGroups.insert(address).inserted else { return }
    defer { openGroups.remove(address) }
    for message in messages {
      switch message.type {
      case 0x11:
        let tree = try reader.address(at: message.offset)
        let heap = try reader.address(at: message.offset + reader.offsetSize)
        try visit(tree: tree, names: try HDF5Heap(reader, at: heap), path: path, depth: depth, level: nil)
      case 6: try visit(link: message, path: path, depth: depth)
      case 2:
        // Link info: an address of a fractal heap that is not "undefined" means links stored densely.
        let flags = try reader.number(at: message.offset + 1, count: 1)
        let heapAt = message.offset + 2 + (flags & 1 != 0 ? 8 : 0)
        guard try !reader.isUndefined(at: heapAt) else { continue }
        let heap = try HDF5FractalHeap(reader, at: try reader.address(at: heapAt))
        let tree = try HDF5Tree(
          reader, at: try reader.address(at: heapAt + reader.offsetSize), kinds: 5...5, limit: budget)
        for record in tree.records {
          let place = try heap.place(of: record[min(4, record.count)...])
          try visit(
            link: .init(type: 6, flags: 0, offset: place.offset, byteCount: place.byteCount), path: path, depth: depth)
        }
      default: break
      }
    }
  }

  private mutating func visit(
    tree address: Int, names: HDF5Heap, path: [UInt8], depth: Int, level above: Int?
  ) throws(ContainerError) {
    try spend(at: address)
    try reader.expect("TREE", at: address)
    let level = try reader.number(at: address + 5, count: 1)
    let count = try reader.number(at: address + 6, count: 2)
    guard try reader.number(at: address + 4, count: 1) == 0, above.map({ level == $0 - 1 }) ?? (level < 16) else {
      throw reader.fault("a B-tree of another kind", at: address)
    }
    let start = address + 8 + 2 * reader.offsetSize
    for index in 0..<count {
      let child = try reader.address(
        at: start + index * (reader.lengthSize + reader.offsetSize) + reader.lengthSize)
      if level > 0 {
        try visit(tree: child, names: names, path: path, depth: depth, level: level)
        continue
      }
      try spend(at: child)
      try reader.expect("SNOD", at: child)
      for entry in 0..<(try reader.number(at: child + 6, count: 2)) {
        let place = child + 8 + entry * (2 * reader.offsetSize + 24)
        let name = try names.name(at: try reader.number(at: place, count: reader.offsetSize))
        // A symbolic link has no header of its own.
        guard try reader.number(at: place + 2 * reader.offsetSize, count: 4) != 2 else { continue }
        try visit(
          try reader.address(at: place + reader.offsetSize), path: Self.join(path, name), depth: depth + 1)
      }
    }
  }

  private mutating func visit(link message: HDF5ObjectHeader.Message, path: [UInt8], depth: Int) throws(ContainerError)
  {
    var at = message.offset + 2
    let flags = try reader.number(at: message.offset + 1, count: 1)
    var kind = 0
    if flags & 8 != 0 {
      kind = try reader.number(at: at, count: 1)
      at += 1
    }
    if flags & 4 != 0 { at += 8 }
    if flags & 16 != 0 { at += 1 }
    let width = 1 << (flags & 3)
    let length = try reader.number(at: at, count: width)
    guard length <= message.byteCount else { throw reader.fault("a link's name reaches past it", at: at) }
    let name = try reader.bytes(at: at + width, count: length)
    guard kind == 0 else { return }
    try visit(try reader.address(at: at + width + length), path: Self.join(path, name), depth: depth + 1)
  }

  /// A message that lies in another object's header (a type with a name of its own) is read from there.
  private func shared(_ message: HDF5ObjectHeader.Message) throws(ContainerError) -> HDF5ObjectHeader.Message {
    guard message.flags & 2 != 0, [1, 3, 5, 11].contains(message.type) else { return message }
    let version = try reader.number(at: message.offset, count: 1)
    let kind = try reader.number(at: message.offset + 1, count: 1)
    guard version <= 2 || version == 3 && kind == 2 else {
      throw .unsupported(.init(reader.file.path, "HDF5", offset: message.offset), reason: "a message in a shared heap")
    }
    let target = try reader.address(at: message.offset + (version == 1 ? 8 : 2))
    let found = try HDF5ObjectHeader(reader, at: target, limit: 1 << 10).messages
    guard let other = found.first(where: { $0.type == message.type && $0.flags & 2 == 0 }) else {
      throw reader.fault("a shared message that is not there", at: message.offset)
    }
    return other
  }

  private static func join(_ path: [UInt8], _ name: [UInt8]) -> [UInt8] {
    path.isEmpty ? name : path + [UInt8(ascii: "/")] + name
  }

  private mutating func add(
    _ messages: [HDF5ObjectHeader.Message], name: ByteString, at address: Int
  ) throws(ContainerError) {
    guard let space = messages.first(where: { $0.type == 1 }), let type = messages.first(where: { $0.type == 3 }),
      let layout = messages.first(where: { $0.type == 8 })
    else { throw reader.fault("a dataset without shape or type", at: address, name: name) }
    let extents = try HDF5Type.dimensions(reader, at: space.offset, limit: limits.dimensionCount)
    guard let (format, isBigEndian) = try HDF5Type.format(reader, at: type.offset), let (dimensions, most) = extents
    else {
      otherCount += 1
      return
    }
    guard let shape = Shape(dimensions), let byteCount = format.byteCount(elements: shape.elementCount),
      name.count <= limits.nameByteCount
    else { throw reader.fault("the shape \(dimensions) is impossible", at: space.offset, name: name) }
    let filters = try messages.first { $0.type == 11 }.map { message throws(ContainerError) in
      try HDF5Filter.list(reader, at: message.offset)
    }
    if messages.contains(where: { $0.type == 7 }) {
      throw .unsupported(
        .init(reader.file.path, "HDF5", name: name, offset: address), reason: "a dataset kept in other files")
    }
    let dataset = HDF5Dataset(
      reader: reader, name: name, shape: shape, format: format, byteCount: byteCount, filters: filters ?? [],
      chunkLimit: min(limits.tensorCount, 1 << 20), most: most,
      fill: try HDF5Type.fill(reader, messages, byteCount: format.bytesPerBlock))
    let source = try dataset.source(layoutAt: layout.offset)
    let stored = TensorRef(name: name, shape: shape, format: format, source: source)
    let tensor = isBigEndian ? stored.byteSwapped() : stored
    tensors.append(source is HDF5ChunkedSource ? tensor.paneled(cache) : tensor)
  }
}
