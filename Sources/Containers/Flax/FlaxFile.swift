//  flax.serialization: MessagePack of nested maps; an array is extension 1, holding [shape, type's name, elements]
//  {"__msgpack_chunked_array__": true, "shape": {"0": …}, "chunks": {"0": array, …}} stands for one of over 2^30 bytes
//
//  msgpack.org's specification; flax/serialization.py.

public import Bytes
public import IR
public import SystemPackage

/// Flax's msgpack: arrays under the path to them, joined by dots.
public struct FlaxFile: Sendable {
  public let contents: ContainerContents

  /// A map whose first key is a text.
  public static func recognizes(_ head: [UInt8]) -> Bool {
    guard head.count > 8 else { return false }
    let key: Int
    switch head[0] {
    case 0x81...0x8F: key = 1
    case 0xDE: key = 3
    case 0xDF: key = 5
    default: return false
    }
    let (length, start): (Int, Int)
    switch head[key] {
    case 0xA1...0xBF: (length, start) = (Int(head[key] & 31), key + 1)
    case 0xD9: (length, start) = (Int(head[key + 1]), key + 2)
    default: return false
    }
    return start + length <= head.count && head[start..<start + length].allSatisfy { (0x20...0x7E).contains($0) }
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    var parser = FlaxParser(file, limits: limits)
    do throws(FileError) { try parser.parse() } catch { throw .file(error) }
    if let fault = parser.fault { throw fault }
    contents = ContainerContents(
      tensors: parser.tensors, fileByteCount: file.byteCount,
      notes: parser.otherCount > 0 ? ["\(parser.otherCount) other values left alone"] : [])
  }
}

struct FlaxParser {
  private let file: InputFile
  private let limits: Limits
  private var cursor: FileCursor
  private(set) var fault: ContainerError?
  private(set) var tensors: [TensorRef] = []
  private(set) var otherCount = 0
  private var valueCount = 0
  private var numbers: [ByteString: Int] = [:]
  private var names: Set<ByteString> = []

  init(_ file: InputFile, limits: Limits) {
    self.file = file
    self.limits = limits
    cursor = FileCursor(file)
  }

  private mutating func stop(_ reason: String, _ path: [UInt8] = []) {
    fault =
      fault
      ?? .malformed(
        .init(file.path, "Flax msgpack", name: ByteString(bytes: path), offset: cursor.offset), reason: reason)
  }

  mutating func parse() throws(FileError) {
    try value(path: [], depth: 0)
    if fault == nil, cursor.remaining > 0 { stop("\(cursor.remaining) bytes follow the value") }
    joinChunks()
  }

  private mutating func bigEndian(_ count: Int) throws(FileError) -> Int {
    try cursor.readBytes(count).reduce(0) { $0 << 8 | Int($1) }
  }

  /// One value; arrays of numbers become tensors, everything else is counted.
  private mutating func value(path: [UInt8], depth: Int) throws(FileError) {
    guard fault == nil else { return }
    valueCount += 1
    guard depth <= limits.nestingDepth, valueCount <= limits.pickleNodeCount else {
      return stop("more than \(limits.nestingDepth) levels or \(limits.pickleNodeCount) values", path)
    }
    let kind = UInt8(truncatingIfNeeded: try cursor.readBits(byteCount: 1))
    switch kind {
    case 0x80...0x8F: try map(Int(kind & 15), path: path, depth: depth)
    case 0xDE: try map(try bigEndian(2), path: path, depth: depth)
    case 0xDF: try map(try bigEndian(4), path: path, depth: depth)
    case 0x90...0x9F: try list(Int(kind & 15), path: path, depth: depth)
    case 0xDC: try list(try bigEndian(2), path: path, depth: depth)
    case 0xDD: try list(try bigEndian(4), path: path, depth: depth)
    case 0xD4...0xD8: try `extension`(1 << Int(kind - 0xD4), path: path)
    case 0xC7: try `extension`(try bigEndian(1), path: path)
    case 0xC8: try `extension`(try bigEndian(2), path: path)
    case 0xC9: try `extension`(try bigEndian(4), path: path)
    default:
      otherCount += 1
      // The shape of an array in pieces: {"shape": {"0": rows, "1": columns}}.
      switch kind {
      case 0...0x7F: numbers[ByteString(bytes: path)] = Int(kind)
      case 0xCC...0xCE: numbers[ByteString(bytes: path)] = try bigEndian(1 << Int(kind - 0xCC))
      default: try skip(kind, path)
      }
    }
  }

  /// The rest of a plain value.
  private mutating func skip(_ kind: UInt8, _ path: [UInt8]) throws(FileError) {
    switch kind {
    case 0xE0...0xFF, 0xC0, 0xC2, 0xC3: break
    case 0xA0...0xBF: try cursor.skip(Int(kind & 31))
    case 0xC4, 0xD9: try cursor.skip(try bigEndian(1))
    case 0xC5, 0xDA: try cursor.skip(try bigEndian(2))
    case 0xC6, 0xDB: try cursor.skip(try bigEndian(4))
    case 0xD0: try cursor.skip(1)
    case 0xD1: try cursor.skip(2)
    case 0xCA, 0xD2: try cursor.skip(4)
    case 0xCB, 0xCF, 0xD3: try cursor.skip(8)
    default: stop("byte \(kind) where a value should be", path)
    }
  }

  private mutating func text() throws(FileError) -> [UInt8]? {
    let kind = UInt8(truncatingIfNeeded: try cursor.readBits(byteCount: 1))
    let count: Int
    switch kind {
    case 0xA0...0xBF: count = Int(kind & 31)
    case 0xD9, 0xC4: count = try bigEndian(1)
    case 0xDA, 0xC5: count = try bigEndian(2)
    default: return nil
    }
    return try cursor.readBytes(count)
  }

  private mutating func map(_ count: Int, path: [UInt8], depth: Int) throws(FileError) {
    guard count <= cursor.remaining / 2 else { return stop("a map of \(count)", path) }
    for _ in 0..<count {
      guard fault == nil else { return }
      guard let key = try text() else { return stop("a key that is no text", path) }
      let name = path.isEmpty ? key : path + [UInt8(ascii: ".")] + key
      guard name.count <= limits.nameByteCount else { return stop("a name of \(name.count) bytes") }
      try value(path: name, depth: depth + 1)
    }
  }

  private mutating func list(_ count: Int, path: [UInt8], depth: Int) throws(FileError) {
    guard count <= cursor.remaining else { return stop("a list of \(count)", path) }
    for index in 0..<count where fault == nil {
      try value(path: path + Array(".\(index)".utf8), depth: depth + 1)
    }
  }

  private static let formats: [String: BlockFormat] = [
    "float32": .f32, "float16": .f16, "bfloat16": .bf16, "float64": .f64, "int8": .i8, "int16": .i16, "int32": .i32,
    "int64": .i64, "uint8": .u8, "uint16": .u16, "uint32": .u32, "uint64": .u64, "bool": .bool,
    "float8_e4m3fn": .f8e4m3, "float8_e5m2": .f8e5m2,
  ]

  private mutating func `extension`(_ count: Int, path: [UInt8]) throws(FileError) {
    let kind = try cursor.readBits(byteCount: 1)
    guard count <= cursor.remaining else { return stop("an extension of \(count) bytes reaches past the end", path) }
    let end = cursor.offset + count
    guard kind == 1 || kind == 3 else {
      otherCount += 1
      return try cursor.skip(count)
    }
    guard try cursor.readBits(byteCount: 1) == 0x93, let dimensions = try shape(path) else {
      return stop("an array that is not its shape, type and elements", path)
    }
    guard let name = try text(), let format = Self.formats[String(decoding: name, as: UTF8.self)] else {
      return stop("an array of an unknown type", path)
    }
    let byteCount: Int
    switch try cursor.readBits(byteCount: 1) {
    case 0xC4: byteCount = try bigEndian(1)
    case 0xC5: byteCount = try bigEndian(2)
    case 0xC6: byteCount = try bigEndian(4)
    default: return stop("an array without bytes", path)
    }
    guard let shape = Shape(dimensions), format.byteCount(elements: shape.elementCount) == byteCount,
      cursor.offset + byteCount == end
    else { return stop("\(dimensions) of \(format.name) in \(byteCount) bytes", path) }
    guard names.insert(ByteString(bytes: path)).inserted, tensors.count < limits.tensorCount else {
      return stop("an array that stands twice", path)
    }
    tensors.append(
      TensorRef(
        name: ByteString(bytes: path), shape: shape, format: format,
        source: FileTensorSource(
          file: file, offset: cursor.offset, rowByteCount: shape.columns * format.bytesPerBlock)))
    try cursor.skip(byteCount)
  }

  private mutating func shape(_ path: [UInt8]) throws(FileError) -> [Int]? {
    let kind = Int(try cursor.readBits(byteCount: 1))
    guard (0x90...0x9F).contains(kind), kind & 15 <= limits.dimensionCount else { return nil }
    var result: [Int] = []
    for _ in 0..<kind & 15 {
      let kind = Int(try cursor.readBits(byteCount: 1))
      switch kind {
      case 0...0x7F: result.append(kind)
      case 0xCC: result.append(try bigEndian(1))
      case 0xCD: result.append(try bigEndian(2))
      case 0xCE: result.append(try bigEndian(4))
      case 0xCF, 0xD3: result.append(try bigEndian(8))
      default: return nil
      }
    }
    return result
  }

  /// Arrays of over 2^30 bytes: `w.chunks.0`, `w.chunks.1`, … are one flat array of the shape in `w.shape.0`, ….
  private mutating func joinChunks() {
    let suffix = Array(".chunks.".utf8)
    var groups: [(stem: ByteString, parts: [(place: Int, tensor: TensorRef)])] = []
    var others: [TensorRef] = []
    for tensor in tensors {
      let digits = tensor.name.bytes.reversed().prefix { (0x30...0x39).contains($0) }.count
      let stem = tensor.name.bytes.dropLast(digits)
      guard let place = Int(String(decoding: tensor.name.bytes.suffix(digits), as: UTF8.self)),
        stem.reversed().starts(with: suffix.reversed()), tensor.shape.dimensions.count == 1
      else {
        others.append(tensor)
        continue
      }
      let name = ByteString(bytes: Array(stem.dropLast(suffix.count)))
      if groups.last?.stem == name {
        groups[groups.count - 1].parts.append((place, tensor))
      } else {
        groups.append((name, [(place, tensor)]))
      }
    }
    for (name, numbered) in groups {
      // Names count, whatever order they stand in.
      let parts = numbered.sorted { $0.place < $1.place }.map(\.tensor)
      var dimensions: [Int] = []
      while let size = numbers[ByteString("\(name).shape.\(dimensions.count)")] { dimensions.append(size) }
      guard let first = parts.first, parts.allSatisfy({ $0.format == first.format }), let shape = Shape(dimensions),
        shape.elementCount == parts.reduce(0, { $0 + $1.shape.elementCount })
      else { return stop("chunks that do not make the shape \(dimensions)", name.bytes) }
      let pieces = parts.compactMap { part in
        (part.source as? FileTensorSource).map { $0.offset..<$0.offset + part.byteCount }
      }
      let source = FlatPieces(file: file, pieces: pieces, rowByteCount: shape.columns * first.format.bytesPerBlock)
      others.append(TensorRef(name: name, shape: shape, format: first.format, source: source))
    }
    tensors = others
  }
}
