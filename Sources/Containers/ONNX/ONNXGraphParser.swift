import Archives
import Bytes
import IR
import SystemPackage

/// One operator of the graph, as far as it tells about weights.
struct ONNXNode: Sendable {
  var operation = ""
  var name = ByteString("")
  var inputs: [ByteString] = []
  var outputs: [ByteString] = []
  var integers: [String: Int] = [:]
}

/// Collects tensors and nodes of a graph and of the graphs inside its operators.
struct ONNXGraphParser {
  let file: InputFile
  let limits: Limits
  private(set) var nodes: [ONNXNode] = []
  /// In order; names are unique.
  private(set) var tensors: [TensorRef] = []
  private(set) var externalByteCount = 0
  /// Constants too small to be weights.
  private(set) var smallConstantCount = 0
  /// What stopped the parse, where it was more than the encoding.
  private(set) var fault: ContainerError?
  private var names: Set<ByteString> = []
  private var externalFiles: [ByteString: InputFile] = [:]
  /// Bytes of numbers that are stored one by one, and held in memory.
  private var heldByteCount = 0

  init(_ file: InputFile, limits: Limits) {
    self.file = file
    self.limits = limits
  }

  mutating func parse(graph: Range<Int>, prefix: String, depth: Int) throws(ProtobufError) {
    guard depth < 16 else {
      throw .malformed(reason: "graphs inside each other more than 16 deep", offset: graph.lowerBound)
    }
    var reader = ProtobufReader(file, range: graph)
    while let field = try reader.next() {
      guard case .bytes(let range) = field.value else { continue }
      switch field.number {
      case 1: try parse(node: range, prefix: prefix, depth: depth)
      case 5: try add(tensor: range, named: nil, prefix: prefix, isConstant: false)
      default: break
      }
    }
  }

  private mutating func parse(node range: Range<Int>, prefix: String, depth: Int) throws(ProtobufError) {
    guard nodes.count < limits.tensorCount else {
      throw .malformed(reason: "more than \(limits.tensorCount) nodes", offset: range.lowerBound)
    }
    var node = ONNXNode()
    var attributes: [Range<Int>] = []
    var reader = ProtobufReader(file, range: range)
    while let field = try reader.next() {
      guard case .bytes(let bytes) = field.value else { continue }
      switch field.number {
      case 1: node.inputs.append(try text(bytes))
      case 2: node.outputs.append(try text(bytes))
      case 3: node.name = try text(bytes)
      case 4: node.operation = try text(bytes).text
      case 5: attributes.append(bytes)
      default: break
      }
    }
    for attribute in attributes {
      var name = ""
      var reader = ProtobufReader(file, range: attribute)
      while let field = try reader.next() {
        switch (field.number, field.value) {
        case (1, .bytes(let bytes)): name = try text(bytes).text
        case (3, .varint(let value)): node.integers[name] = Int(truncatingIfNeeded: Int64(bitPattern: value))
        case (5, .bytes(let bytes)) where node.operation == "Constant":
          try add(tensor: bytes, named: node.outputs.first, prefix: prefix, isConstant: true)
        case (6, .bytes(let bytes)):
          try parse(graph: bytes, prefix: "\(prefix)\(node.name)/\(name)/", depth: depth + 1)
        default: break
        }
      }
    }
    nodes.append(node)
  }

  private func text(_ range: Range<Int>) throws(ProtobufError) -> ByteString {
    guard range.count <= limits.nameByteCount else {
      throw .malformed(reason: "a name of \(range.count) bytes", offset: range.lowerBound)
    }
    do throws(FileError) { return ByteString(bytes: try file.read(at: range.lowerBound, count: range.count)) } catch {
      throw .file(error)
    }
  }
}

// MARK: tensors

extension ONNXGraphParser {
  private static let formats: [Int: BlockFormat] = [
    1: .f32, 2: .u8, 3: .i8, 4: .u16, 5: .i16, 6: .i32, 7: .i64, 9: .bool, 10: .f16, 11: .f64, 12: .u32, 13: .u64,
    16: .bf16, 17: .f8e4m3, 19: .f8e5m2, 21: .u8, 22: .i8,
  ]

  private mutating func fail(_ name: ByteString, _ reason: String, at offset: Int) -> ProtobufError {
    fault = .malformed(.init(file.path, "ONNX", name: name, offset: offset), reason: reason)
    return .malformed(reason: reason, offset: offset)
  }

  private mutating func add(
    tensor range: Range<Int>, named given: ByteString?, prefix: String, isConstant: Bool
  ) throws(ProtobufError) {
    var name = given ?? ""
    var dimensions: [Int] = []
    var type = 0
    var typed: [(field: Int, value: ProtobufReader.Value)] = []
    var raw: Range<Int>?
    var external: [String: ByteString] = [:]
    var isExternal = false
    var reader = ProtobufReader(file, range: range)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): dimensions.append(Int(truncatingIfNeeded: value))
      case (1, .bytes(let bytes)):
        var packed = ProtobufReader(file, range: bytes)
        while let value = try packed.nextPackedVarint() {
          guard dimensions.count <= limits.dimensionCount else { break }
          dimensions.append(Int(truncatingIfNeeded: value))
        }
      case (2, .varint(let value)): type = Int(clamping: value)
      case (8, .bytes(let bytes)): if given == nil { name = try text(bytes) }
      case (9, .bytes(let bytes)): raw = bytes
      case (4, let value), (5, let value), (7, let value), (10, let value), (11, let value):
        typed.append((field.number, value))
        guard typed.count <= limits.arrayElementCount else {
          throw fail(name, "too many numbers apart", at: field.offset)
        }
      case (13, .bytes(let bytes)):
        let (key, value) = try entry(bytes)
        external[key] = value
      case (14, .varint(let value)): isExternal = value == 1
      default: break
      }
    }
    if type == 8 { return }  // Text: no weight.
    guard let format = Self.formats[type] else {
      throw fail(name, "a tensor of unknown type \(type)", at: range.lowerBound)
    }
    guard dimensions.count <= limits.dimensionCount, let shape = Shape(dimensions),
      let byteCount = format.byteCount(elements: shape.elementCount)
    else { throw fail(name, "the shape \(dimensions) is impossible", at: range.lowerBound) }
    // A network's own little numbers: axes, sizes, epsilons.
    let isNamed = name.hasSuffix(".weight") || name.hasSuffix(".bias")
    if isConstant, !isNamed, shape.elementCount < 32 || format.kind == .integer && dimensions.count < 2 {
      smallConstantCount += 1
      return
    }
    if names.contains(name), !prefix.isEmpty { name = ByteString(bytes: Array(prefix.utf8) + name.bytes) }
    guard !name.isEmpty, names.insert(name).inserted else {
      throw fail(name, "a tensor without a name, or with another's", at: range.lowerBound)
    }
    guard tensors.count < limits.tensorCount else {
      throw fail(name, "more than \(limits.tensorCount) tensors", at: range.lowerBound)
    }
    let isPacked4 = type == 21 || type == 22
    let storedByteCount = isPacked4 ? shape.elementCount / 2 + shape.elementCount % 2 : byteCount
    let source: any TensorSource
    if isExternal {
      let (other, offset) = try locate(external, byteCount: storedByteCount, of: name, at: range.lowerBound)
      source = stored(in: other, at: offset, shape, format, isPacked4: isPacked4, isSigned: type == 22)
    } else if let raw {
      guard raw.count == storedByteCount else {
        throw fail(name, "\(shape) needs \(storedByteCount) bytes and has \(raw.count)", at: raw.lowerBound)
      }
      source = stored(in: file, at: raw.lowerBound, shape, format, isPacked4: isPacked4, isSigned: type == 22)
    } else {
      source = try numbers(typed, shape, format, byteCount: byteCount, of: name, at: range.lowerBound)
    }
    tensors.append(TensorRef(name: name, shape: shape, format: format, source: source))
  }

  private func stored(
    in file: InputFile, at offset: Int, _ shape: Shape, _ format: BlockFormat, isPacked4: Bool, isSigned: Bool
  ) -> any TensorSource {
    isPacked4
      ? NibbleSource(
        file: file, offset: offset, columns: shape.columns, elementCount: shape.elementCount, isSigned: isSigned)
      : FileTensorSource(file: file, offset: offset, rowByteCount: shape.columns * format.bytesPerBlock)
  }

  /// Numbers in typed fields: floats and doubles lie packed as they are, the others as varints.
  private mutating func numbers(
    _ parts: [(field: Int, value: ProtobufReader.Value)], _ shape: Shape, _ format: BlockFormat, byteCount: Int,
    of name: ByteString, at offset: Int
  ) throws(ProtobufError) -> any TensorSource {
    if parts.count == 1, case .bytes(let bytes) = parts[0].value,
      parts[0].field == 4 && format == .f32 || parts[0].field == 10 && format == .f64
    {
      guard bytes.count == byteCount else { throw fail(name, "\(shape) has \(bytes.count) bytes", at: offset) }
      return FileTensorSource(
        file: file, offset: bytes.lowerBound, rowByteCount: shape.columns * format.bytesPerBlock)
    }
    guard byteCount <= limits.headerByteCount - heldByteCount, byteCount <= (offset.distance(to: file.byteCount)) * 8
    else { throw fail(name, "\(byteCount) bytes of numbers stored one by one", at: offset) }
    heldByteCount += byteCount
    var bytes = ByteWriter()
    let width = format.bytesPerBlock
    for (_, value) in parts {
      switch value {
      case .varint(let number): bytes.append(bits: number, byteCount: width)
      case .fixed32(let number): bytes.append(bits: UInt64(number), byteCount: 4)
      case .fixed64(let number): bytes.append(bits: number, byteCount: 8)
      case .bytes(let range):
        var packed = ProtobufReader(file, range: range)
        while let number = try packed.nextPackedVarint() {
          guard bytes.count < byteCount else { break }
          bytes.append(bits: number, byteCount: width)
        }
      }
      guard bytes.count <= byteCount else { break }
    }
    guard bytes.count == byteCount else {
      throw fail(name, "\(shape) needs \(byteCount) bytes and has \(bytes.count)", at: offset)
    }
    return MemoryTensorSource(bytes: bytes.bytes, rowByteCount: shape.columns * width)
  }

  private func entry(_ range: Range<Int>) throws(ProtobufError) -> (String, ByteString) {
    var key = ByteString("")
    var value = ByteString("")
    var reader = ProtobufReader(file, range: range)
    while let field = try reader.next() {
      guard case .bytes(let bytes) = field.value else { continue }
      if field.number == 1 { key = try text(bytes) } else if field.number == 2 { value = try text(bytes) }
    }
    return (key.text, value)
  }

  /// The file beside this one that holds the tensor: a path elsewhere would make us read what was not given to us.
  private mutating func locate(
    _ entries: [String: ByteString], byteCount: Int, of name: ByteString, at place: Int
  ) throws(ProtobufError) -> (InputFile, Int) {
    guard let location = entries["location"], !location.isEmpty, !location.bytes.contains(0) else {
      throw fail(name, "external data without a location", at: place)
    }
    let relative = FilePath(location.text)
    guard relative.isRelative, !relative.components.contains(where: { $0.kind == .parentDirectory }) else {
      throw fail(name, "external data at \"\(location)\", outside the model's folder", at: place)
    }
    let offset = entries["offset"].map { Int($0.text) } ?? 0
    let length = entries["length"].map { Int($0.text) } ?? byteCount
    guard let offset, let length, offset >= 0, length == byteCount else {
      throw fail(name, "external data of \(entries["length"]?.text ?? "?") bytes for \(byteCount)", at: place)
    }
    let other: InputFile
    if let open = externalFiles[location] {
      other = open
    } else {
      do throws(FileError) {
        other = try InputFile(file.path.removingLastComponent().pushing(relative))
      } catch {
        throw .file(error)
      }
      externalFiles[location] = other
      externalByteCount += other.byteCount
    }
    guard offset <= other.byteCount, byteCount <= other.byteCount - offset else {
      throw fail(name, "external data at \(offset) reaches past \"\(location)\"", at: place)
    }
    return (other, offset)
  }
}

/// Integers of four bits, two per byte, low first, as bytes.
struct NibbleSource: TensorSource {
  let file: InputFile
  let offset: Int
  let columns: Int
  let elementCount: Int
  let isSigned: Bool

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let first = rows.lowerBound * columns
    let last = rows.upperBound * columns
    guard first < last else { return }
    let packed = try file.read(at: offset + first / 2, count: (last + 1) / 2 - first / 2)
    let values = (first..<last).map { element -> UInt8 in
      let byte = packed[element / 2 - first / 2]
      let bits = element % 2 == 0 ? byte & 15 : byte >> 4
      return isSigned && bits >= 8 ? bits | 0xF0 : bits
    }
    bytes.copy(from: values.rawSpan)
  }
}
