//  .pdparams     a pickle: {name: NumPy array, …, "StructuredToParameterName@@": {…}}
//  .pdiparams    tensors one after the other: u32 0 │ u64 levels, each u64 length and bytes │ u32 0 │ i32 length,
//                TensorDesc (protobuf: 1: type, 2: dims) │ elements; names in the .pdmodel beside it, in order
//
//  paddle/framework/io.py, paddle/fluid/framework/lod_tensor.cc, framework.proto.

import Archives
public import Bytes
public import IR
public import SystemPackage

/// Paddle's parameters: pickled NumPy arrays, or LoD tensors.
public struct PaddleFile: Sendable {
  public let contents: ContainerContents

  /// A pickle (which PyTorch's readers did not want), or the beginning of a LoD tensor.
  public static func recognizes(_ head: [UInt8]) -> Bool {
    if head.count > 2, head[0] == 0x80, (2...5).contains(head[1]) { return true }
    guard head.count >= 24, head.integer(at: 0, as: UInt32.self) == 0, head.integer(at: 4, as: UInt64.self) == 0,
      head.integer(at: 12, as: UInt32.self) == 0
    else { return false }
    return (2...256).contains(head.integer(at: 16, as: Int32.self)) && head[20] == 0x08
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    let first: [UInt8]
    do throws(FileError) {
      file = try InputFile(path)
      first = try file.read(at: 0, count: min(1, file.byteCount))
    } catch { throw .file(error) }
    contents =
      first == [0x80]
      ? try PaddlePickle(file, limits: limits).contents : try PaddleTensors(file, limits: limits).contents
  }
}

/// Arrays in a pickle.
struct PaddlePickle {
  private(set) var contents: ContainerContents
  private let file: InputFile
  private let graph: PickleGraph

  private static let allowed: Set<String> = [
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "_codecs.encode", "collections.OrderedDict",
    "builtins.tuple", "__builtin__.tuple", "numpy._core.numeric._frombuffer", "numpy.core.numeric._frombuffer",
  ]

  init(_ file: InputFile, limits: Limits) throws(ContainerError) {
    self.file = file
    do throws(PickleError) {
      graph = try PickleMachine.read(file, at: 0, end: file.byteCount, limits: limits) { module, name in
        Self.allowed.contains("\(module).\(name)")
      }
    } catch {
      throw .malformed(.init(file.path, "pickle", offset: error.offset), reason: "\(error)")
    }
    contents = ContainerContents(tensors: [], fileByteCount: file.byteCount)
    guard graph.endOffset == file.byteCount else {
      throw .malformed(
        .init(file.path, "pickle", offset: graph.endOffset),
        reason: "\(file.byteCount - graph.endOffset) bytes follow the pickle, perhaps another one")
    }
    guard let members = graph.members(graph.root) else {
      throw .unsupported(.init(file.path, "pickle"), reason: "a pickle that is no dictionary of arrays")
    }
    var names: Set<ByteString> = []
    for (key, value) in members {
      guard let name = graph.text(key) else { continue }
      // Since 2.1 a parameter is (its name, its array).
      let array = graph.tuple(value).flatMap { $0.count == 2 ? $0[1] : nil } ?? value
      guard let tensor = try tensor(name, array, limits: limits) else {
        contents.notes.append("\(name): left alone")
        continue
      }
      guard names.insert(name).inserted else {
        throw .malformed(.init(file.path, "pickle", name: name), reason: "stands twice")
      }
      contents.tensors.append(tensor)
    }
    guard !contents.tensors.isEmpty else {
      throw .unsupported(.init(file.path, "pickle"), reason: "a pickle without arrays")
    }
  }

  /// `_reconstruct(ndarray, (0,), b'b')` with the state (1, shape, dtype, Fortran order, elements); nil for anything else.
  private func tensor(_ name: ByteString, _ id: Int, limits: Limits) throws(ContainerError) -> TensorRef? {
    guard case .object(let object) = graph[id],
      graph.global(object.callable)?.hasSuffix("multiarray._reconstruct") == true,
      let stateID = object.state, let state = graph.tuple(stateID), state.count == 5,
      let dimensions = graph.integers(state[1])
    else { return nil }
    func fail(_ reason: String) -> ContainerError { .malformed(.init(file.path, "pickle", name: name), reason: reason) }
    guard case .object(let type) = graph[state[2]], let arguments = graph.tuple(type.arguments),
      let code = arguments.first.flatMap({ graph.text($0) }), let format = Self.formats[code.text]
    else { throw fail("an array of a type that is not read") }
    if let typeState = type.state.flatMap({ graph.tuple($0) }), typeState.count > 1, graph.text(typeState[1]) == ">" {
      throw fail("a big-endian array")
    }
    guard dimensions.count <= limits.dimensionCount, let shape = Shape(dimensions),
      let byteCount = format.byteCount(elements: shape.elementCount)
    else { throw fail("the shape \(dimensions) is impossible") }
    var isFortran = false
    if case .bool(true) = graph[state[3]] { isFortran = true }
    let rowByteCount = shape.columns * format.bytesPerBlock
    let source: any TensorSource
    switch graph[state[4]] {
    case .storedBytes(let offset, let count):
      guard count == byteCount else { throw fail("\(shape) in \(count) bytes") }
      if isFortran, dimensions.count > 1 {
        let strides = StridedTensorSource.contiguousStrides(of: dimensions.reversed()).reversed()
        let strided = StridedTensorSource(
          file: file, offset: offset, dimensions: dimensions, strides: Array(strides),
          elementByteCount: format.bytesPerBlock)
        return TensorRef(name: name, shape: shape, format: format, source: strided).paneled(PanelCache())
      }
      source = FileTensorSource(file: file, offset: offset, rowByteCount: rowByteCount)
    case .bytes(let bytes):
      guard bytes.count == byteCount, !isFortran || dimensions.count < 2 else {
        throw fail("\(shape) in \(bytes.count) bytes")
      }
      source = MemoryTensorSource(bytes: bytes.bytes, rowByteCount: rowByteCount)
    case .object(let call) where graph.global(call.callable) == "_codecs.encode":
      // Protocol 2 has no bytes: Python 3 spells them as text in Latin-1.
      guard let text = graph.tuple(call.arguments)?.first, !isFortran || dimensions.count < 2 else {
        throw fail("elements of an unknown kind")
      }
      source = try latin(text, byteCount: byteCount, rowByteCount: rowByteCount, fail: fail)
    default: throw fail("elements of an unknown kind")
    }
    return TensorRef(name: name, shape: shape, format: format, source: source)
  }

  private func latin(
    _ id: Int, byteCount: Int, rowByteCount: Int, fail: (String) -> ContainerError
  ) throws(ContainerError) -> any TensorSource {
    switch graph[id] {
    case .text(let text):
      guard let bytes = LatinSource.decoded(text.bytes), bytes.count == byteCount else {
        throw fail("damaged elements")
      }
      return MemoryTensorSource(bytes: bytes, rowByteCount: rowByteCount)
    case .storedBytes(let offset, let count):
      guard count >= byteCount, count / 2 <= byteCount else { throw fail("\(byteCount) bytes spelled in \(count)") }
      let source = LatinSource(
        file: file, range: offset..<offset + count, byteCount: byteCount, rowByteCount: rowByteCount)
      return PanelSource(
        source, rowByteCount: rowByteCount, rowCount: rowByteCount > 0 ? byteCount / rowByteCount : 0,
        cache: PanelCache())
    default: throw fail("elements of an unknown kind")
    }
  }

  private static let formats: [String: BlockFormat] = [
    "f4": .f32, "f2": .f16, "f8": .f64, "i1": .i8, "i2": .i16, "i4": .i32, "i8": .i64, "u1": .u8, "u2": .u16,
    "u4": .u32, "u8": .u64, "b1": .bool,
  ]
}

/// Bytes that are spelled as UTF-8 text of code points below 256. Reads from the beginning for any rows.
struct LatinSource: TensorSource {
  let file: InputFile
  let range: Range<Int>
  let byteCount: Int
  let rowByteCount: Int

  static func decoded(_ text: [UInt8]) -> [UInt8]? {
    var result: [UInt8] = []
    var index = 0
    while index < text.count {
      let byte = text[index]
      if byte < 0x80 {
        result.append(byte)
        index += 1
      } else {
        guard byte == 0xC2 || byte == 0xC3, index + 1 < text.count, text[index + 1] & 0xC0 == 0x80 else { return nil }
        result.append(byte << 6 | text[index + 1] & 0x3F)
        index += 2
      }
    }
    return result
  }

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    let wanted = rows.lowerBound * rowByteCount..<rows.upperBound * rowByteCount
    var place = 0
    var offset = range.lowerBound
    var rest: [UInt8] = []
    while place < wanted.upperBound, offset < range.upperBound {
      let chunk = rest + (try file.read(at: offset, count: min(1 << 18, range.upperBound - offset)))
      offset += chunk.count - rest.count
      // A pair that is cut waits for its second half.
      let cut = chunk.last.map { $0 >= 0xC0 } ?? false
      rest = cut ? [chunk[chunk.count - 1]] : []
      guard let part = Self.decoded(Array(chunk.dropLast(cut ? 1 : 0))) else {
        throw .damaged(path: file.path, reason: "elements that are no Latin-1 text", offset: offset)
      }
      let overlap = wanted.clamped(to: place..<place + part.count)
      if !overlap.isEmpty {
        bytes.copy(
          from: part.rawSpan.extracting(overlap.lowerBound - place..<overlap.upperBound - place),
          at: overlap.lowerBound - wanted.lowerBound)
      }
      place += part.count
    }
    guard place >= wanted.upperBound else {
      throw .damaged(path: file.path, reason: "elements end too early", offset: range.lowerBound)
    }
  }
}

/// LoD tensors, one after the other.
struct PaddleTensors {
  private(set) var contents: ContainerContents

  private static let formats: [Int: BlockFormat] = [
    0: .bool, 1: .i16, 2: .i32, 3: .i64, 4: .f16, 5: .f32, 6: .f64, 20: .u8, 21: .i8, 22: .bf16,
  ]

  init(_ file: InputFile, limits: Limits) throws(ContainerError) {
    var tensors: [TensorRef] = []
    let names = Self.names(beside: file.path, limits: limits)
    func fail(_ reason: String, _ offset: Int) -> ContainerError {
      .malformed(
        .init(file.path, "Paddle", name: ByteString("tensor \(tensors.count)"), offset: offset), reason: reason)
    }
    var cursor = FileCursor(file, windowByteCount: 4096)
    do throws(FileError) {
      var problem: (String, Int)?
      scan: while cursor.remaining > 0, problem == nil {
        let start = cursor.offset
        let version = try cursor.readInteger(UInt32.self)
        let levels = try cursor.readInteger(UInt64.self)
        guard version == 0, levels <= 16 else {
          problem = ("version \(version) with \(levels) levels", start)
          break
        }
        for _ in 0..<levels {
          let length = try cursor.readInteger(UInt64.self)
          guard length <= UInt64(cursor.remaining) else {
            problem = ("a level of \(length) bytes", start)
            break scan
          }
          try cursor.skip(Int(length))
        }
        guard try cursor.readInteger(UInt32.self) == 0 else {
          problem = ("an unknown tensor version", start)
          break
        }
        let length = Int(try cursor.readInteger(Int32.self))
        guard (0...4096).contains(length), length <= cursor.remaining, tensors.count < limits.tensorCount else {
          problem = ("a description of \(length) bytes", start)
          break
        }
        guard let (type, dimensions) = Self.description(file, cursor.offset..<cursor.offset + length),
          let format = Self.formats[type], dimensions.count <= limits.dimensionCount, let shape = Shape(dimensions),
          let bytes = format.byteCount(elements: shape.elementCount)
        else {
          problem = ("a description that is not read", cursor.offset)
          break
        }
        try cursor.skip(length)
        guard bytes <= cursor.remaining else {
          problem = ("\(shape) reaches past the end of the file", start)
          break
        }
        let name = names.indices.contains(tensors.count) ? names[tensors.count] : ByteString("tensor_\(tensors.count)")
        tensors.append(
          TensorRef(
            name: name, shape: shape, format: format,
            source: FileTensorSource(
              file: file, offset: cursor.offset, rowByteCount: shape.columns * format.bytesPerBlock)))
        try cursor.skip(bytes)
      }
      if let problem { throw FileError.damaged(path: file.path, reason: "Paddle: \(problem.0)", offset: problem.1) }
    } catch { throw .file(error) }
    if !names.isEmpty, names.count != tensors.count {
      for index in tensors.indices { tensors[index].name = ByteString("tensor_\(index)") }
    }
    for index in tensors.indices { tensors[index].sourceName = tensors[index].name }
    guard Set(tensors.map(\.name)).count == tensors.count else { throw fail("a name stands twice", 0) }
    contents = ContainerContents(tensors: tensors, fileByteCount: file.byteCount)
    if names.count != tensors.count {
      contents.notes = ["names are numbers: no .pdmodel beside it that names \(tensors.count) parameters"]
    }
  }

  private static func description(_ file: InputFile, _ range: Range<Int>) -> (Int, [Int])? {
    var type: Int?
    var dimensions: [Int] = []
    var reader = ProtobufReader(file, range: range)
    while let field = try? reader.next() {
      switch (field.number, field.value) {
      case (1, .varint(let value)): type = Int(clamping: value)
      case (2, .varint(let value)): dimensions.append(Int(truncatingIfNeeded: value))
      case (2, .bytes(let packed)):
        var numbers = ProtobufReader(file, range: packed)
        while let value = try? numbers.nextPackedVarint() { dimensions.append(Int(truncatingIfNeeded: value)) }
      default: break
      }
      if dimensions.count > 64 { return nil }
    }
    return type.map { ($0, dimensions) }
  }

  /// The program's persistent variables in alphabetical order, which is the order of the file; none where that cannot be
  /// told.
  private static func names(beside path: FilePath, limits: Limits) -> [ByteString] {
    guard let stem = path.stem, let file = try? InputFile(path.removingLastComponent().appending(stem + ".pdmodel"))
    else { return [] }
    var names: [ByteString] = []
    var program = ProtobufReader(file, range: 0..<file.byteCount)
    while let block = try? program.next() {
      guard block.number == 1, case .bytes(let range) = block.value else { continue }
      var fields = ProtobufReader(file, range: range)
      while let variable = try? fields.next() {
        guard variable.number == 3, case .bytes(let range) = variable.value, names.count < limits.tensorCount else {
          continue
        }
        var name: ByteString?
        var isPersistent = false
        var values = ProtobufReader(file, range: range)
        while let value = try? values.next() {
          if value.number == 1, case .bytes(let text) = value.value, text.count <= limits.nameByteCount {
            name = (try? file.read(at: text.lowerBound, count: text.count)).map { ByteString(bytes: $0) }
          }
          if value.number == 3, value.value == .varint(1) { isPersistent = true }
        }
        if isPersistent, let name, name != "feed", name != "fetch" { names.append(name) }
      }
    }
    return names.sorted()
  }
}
