import Archives
import Bytes
import IR
import SystemPackage

/// Makes tensor references of a pickle's descriptions of tensors.
struct PyTorchTensorReader {
  private let contents: PyTorchContents
  private let limits: Limits
  private(set) var tensors: [TensorRef] = []
  private(set) var metadata = Metadata()
  private(set) var otherKeys: [ByteString] = []
  /// Parts of a training checkpoint that are not the weights.
  private(set) var ignoredParts: [ByteString] = []
  private let cache = PanelCache()

  init(_ contents: PyTorchContents, limits: Limits) {
    self.contents = contents
    self.limits = limits
  }

  private var graph: PickleGraph { contents.graph }
  private var path: FilePath { contents.file.path }

  mutating func read() throws(PyTorchError) {
    var search = PyTorchSearch(
      graph, wholeTensors: Set(contents.wholeTensors.keys), limit: limits.pickleNodeCount)
    guard let found = search.weights() else {
      guard graph.members(graph.root) != nil || search.isModule(graph.root) else {
        throw .noTensors(path: path, reason: "the file holds no dictionary but something else")
      }
      let keys = (graph.members(graph.root) ?? []).prefix(8).map { graph.text($0.key)?.text ?? "?" }
      throw .noTensors(
        path: path, reason: keys.isEmpty ? "it is empty" : "its keys are \(keys.joined(separator: ", "))")
    }
    ignoredParts = found.ignored
    var seen: Set<ByteString> = []
    for (name, value) in found.members {
      guard let name, seen.insert(name).inserted, !name.isEmpty, name.count <= limits.nameByteCount else {
        throw .invalidName(path: path, tensor: name ?? "")
      }
      guard seen.count <= limits.tensorCount else {
        throw .limitExceeded(path: path, item: "tensors", limit: limits.tensorCount)
      }
      if let call = search.tensorCall(value, depth: 0) {
        tensors.append(try tensor(name, callable: call.callable, arguments: call.arguments))
      } else {
        keep(value, under: name)
      }
    }
  }

  private func tensor(
    _ name: ByteString, callable: String, arguments: [Int]
  ) throws(PyTorchError) -> TensorRef {
    if callable == PyTorchTar.tensorCallable, let key = arguments.first.flatMap({ PyTorchTar.key($0, of: graph) }),
      var whole = contents.wholeTensors[key]
    {
      whole.name = name
      whole.sourceName = name
      return whole
    }
    guard arguments.count >= 4, case .persistent(let id) = graph[arguments[0]],
      let start = graph.integer(arguments[1]), start >= 0, let dimensions = graph.integers(arguments[2]),
      let strides = graph.integers(arguments[3]), strides.count == dimensions.count,
      dimensions.count <= limits.dimensionCount, strides.allSatisfy({ $0 >= 0 }), let shape = Shape(dimensions)
    else { throw .invalidTensor(path: path, tensor: name, reason: "not described as PyTorch does") }
    guard let storage = PyTorchStorage(id, in: graph) else {
      let type = graph.tuple(id).flatMap { $0.count > 1 ? graph.global($0[1]) : nil } ?? "of its storage"
      throw .unknownType(path: path, tensor: name, type: type)
    }
    var format = storage.format
    if callable == "torch._utils._rebuild_tensor_v3" {
      let type = arguments.count > 6 ? graph.global(arguments[6]) ?? "" : ""
      format = PyTorchGlobals.typeFormats[type]
      if format == nil { throw .unknownType(path: path, tensor: name, type: type) }
    }
    guard let format else { throw .unknownType(path: path, tensor: name, type: storage.className) }
    guard let range = contents.storages[storage.key] else { throw .missingEntry(path: path, entry: storage.key) }
    // A view's own count is of the view; the bytes are the whole storage's.
    guard storage.viewOffset > 0 || storage.byteCount == range.count else {
      throw .outOfRange(
        path: path, tensor: name,
        reason: "its storage has \(storage.elementCount) elements in the pickle and \(range.count) bytes in the file")
    }
    let (first, overflow) = start.addingReportingOverflow(storage.viewOffset)
    let available = range.count / format.bytesPerBlock
    // As many elements as the storage has at the most: a stride of 0 could make terabytes of one number.
    guard !overflow, shape.elementCount <= available, shape.elementCount == 0 || first < available,
      shape.elementCount == 0 || Self.reach(dimensions, strides).map({ $0 < available - first }) == true
    else {
      throw .outOfRange(
        path: path, tensor: name,
        reason: "\(shape) from element \(start) with strides \(strides) reaches past its storage of \(available)")
    }
    let offset = range.lowerBound + (shape.elementCount == 0 ? 0 : first * format.bytesPerBlock)
    if Self.isContiguous(dimensions, strides) {
      let source = FileTensorSource(
        file: contents.file, offset: offset, rowByteCount: format.bytesPerBlock * shape.columns)
      return TensorRef(name: name, shape: shape, format: format, source: source)
    }
    let source = StridedTensorSource(
      file: contents.file, offset: offset, dimensions: dimensions, strides: strides,
      elementByteCount: format.bytesPerBlock)
    return TensorRef(name: name, shape: shape, format: format, source: source).paneled(cache)
  }

  /// The last element's distance from the first; nil if it does not fit.
  static func reach(_ dimensions: [Int], _ strides: [Int]) -> Int? {
    var result = 0
    for (dimension, stride) in zip(dimensions, strides) {
      let (step, tooFar) = (dimension - 1).multipliedReportingOverflow(by: stride)
      let (sum, overflow) = result.addingReportingOverflow(step)
      if tooFar || overflow { return nil }
      result = sum
    }
    return result
  }

  /// Strides along axes of one element, or of an empty tensor, say nothing.
  private static func isContiguous(_ dimensions: [Int], _ strides: [Int]) -> Bool {
    if dimensions.contains(0) { return true }
    let expected = StridedTensorSource.contiguousStrides(of: dimensions)
    return dimensions.indices.allSatisfy { dimensions[$0] == 1 || strides[$0] == expected[$0] }
  }

  private mutating func keep(_ value: Int, under name: ByteString) {
    switch graph[value] {
    case .bool(let value): metadata[name] = .bool(value)
    case .integer(let value): metadata[name] = .int64(Int64(value))
    case .real(let value): metadata[name] = .float64(value)
    case .text(let value): metadata[name] = .string(value)
    default: otherKeys.append(name)
    }
  }
}
