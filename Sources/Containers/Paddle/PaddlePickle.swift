import Archives
import Bytes
import IR

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
      if case .file(let error) = error { throw .file(error) }
      // The place says which file, too.
      let reason = "\(error)".replacing("\(file.path): ", with: "", maxReplacements: 1)
      throw .malformed(.init(file.path, "pickle", offset: error.offset), reason: reason)
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
    let order = type.state.flatMap { graph.tuple($0) }.flatMap { $0.count > 1 ? graph.text($0[1]) : nil }
    func ordered(_ tensor: TensorRef) -> TensorRef { order == ">" ? tensor.byteSwapped() : tensor }
    guard dimensions.count <= limits.dimensionCount, let shape = Shape(dimensions),
      let byteCount = format.byteCount(elements: shape.elementCount)
    else { throw fail("the shape \(dimensions) is impossible") }
    var isFortran = false
    if case .bool(true) = graph[state[3]] { isFortran = true }
    let rowByteCount = shape.columns * format.bytesPerBlock
    func located(_ file: InputFile, at offset: Int) -> TensorRef {
      guard isFortran, dimensions.count > 1 else {
        let source = FileTensorSource(file: file, offset: offset, rowByteCount: rowByteCount)
        return ordered(TensorRef(name: name, shape: shape, format: format, source: source))
      }
      let strides = StridedTensorSource.contiguousStrides(of: dimensions.reversed()).reversed()
      let source = StridedTensorSource(
        file: file, offset: offset, dimensions: dimensions, strides: Array(strides),
        elementByteCount: format.bytesPerBlock)
      return ordered(TensorRef(name: name, shape: shape, format: format, source: source)).paneled(PanelCache())
    }
    switch graph[state[4]] {
    case .storedBytes(let offset, byteCount): return located(file, at: offset)
    case .bytes(let bytes) where bytes.count == byteCount:
      return located(InputFile(expanded: bytes.bytes, path: file.path), at: 0)
    case .bytes, .storedBytes: throw fail("\(shape) in another number of bytes than \(byteCount)")
    case .object(let call) where graph.global(call.callable) == "_codecs.encode":
      // Protocol 2 has no bytes: Python 3 spells them as text in Latin-1.
      guard let text = graph.tuple(call.arguments)?.first else { throw fail("elements of an unknown kind") }
      if case .text(let text) = graph[text] {
        guard let bytes = LatinSource.decoded(text.bytes), bytes.count == byteCount else {
          throw fail("damaged elements")
        }
        return located(InputFile(expanded: bytes, path: file.path), at: 0)
      }
      guard !isFortran || dimensions.count < 2 else {
        throw fail("an array in Fortran's order, as text; save it with pickle's protocol 4")
      }
      let source = try latin(text, byteCount: byteCount, rowByteCount: rowByteCount, fail: fail)
      return ordered(TensorRef(name: name, shape: shape, format: format, source: source))
    default: throw fail("elements of an unknown kind")
    }
  }

  private func latin(
    _ id: Int, byteCount: Int, rowByteCount: Int, fail: (String) -> ContainerError
  ) throws(ContainerError) -> any TensorSource {
    guard case .storedBytes(let offset, let count) = graph[id] else { throw fail("elements of an unknown kind") }
    guard count >= byteCount, count / 2 <= byteCount else { throw fail("\(byteCount) bytes spelled in \(count)") }
    let source = LatinSource(
      file: file, range: offset..<offset + count, byteCount: byteCount, rowByteCount: rowByteCount)
    return PanelSource(
      source, rowByteCount: rowByteCount, rowCount: rowByteCount > 0 ? byteCount / rowByteCount : 0,
      cache: PanelCache())
  }

  private static let formats: [String: BlockFormat] = [
    "f4": .f32, "f2": .f16, "f8": .f64, "i1": .i8, "i2": .i16, "i4": .i32, "i8": .i64, "u1": .u8, "u2": .u16,
    "u4": .u32, "u8": .u64, "b1": .bool,
  ]
}
