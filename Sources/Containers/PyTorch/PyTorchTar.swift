//  ustar archive: header of 512 bytes each (name: 100 bytes, size: octal at 124), contents, zeros to 512
//    sys_info   {little_endian, …}
//    storages   count, then each: (key, location, class), element count: i64, elements; then the list of views
//    tensors    count, then each: (key, storage's key, class), axes: i32, 4 bytes, sizes: i64 …, strides: i64 …, offset: i64
//    pickle     the object, whose persistent ids are keys of tensors
//  What is a pickle here is without mark: "count" and each "(…)".

import Archives
import Bytes
import IR
import SystemPackage

/// Opens the tar archives that PyTorch wrote before 0.1.10.
enum PyTorchTar {
  /// Stands for a function's name where a persistent id is a whole tensor.
  static let tensorCallable = "tar"

  static func open(_ file: InputFile, limits: Limits) throws(PyTorchError) -> PyTorchContents {
    let entries = try entries(of: file, limits: limits)
    func range(_ name: String) throws(PyTorchError) -> Range<Int> {
      guard let range = entries[name] else {
        throw .notPyTorch(path: file.path, reason: "a tar archive without \(name)")
      }
      return range
    }
    let storages = try storages(in: range("storages"), of: file, limits: limits)
    let tensors = try tensors(in: range("tensors"), of: file, storages: storages, limits: limits)
    var offset = try range("pickle").lowerBound
    let graph = try pickle(&offset, end: try range("pickle").upperBound, in: file, limits: limits)
    return PyTorchContents(file: file, graph: graph, storages: [:], wholeTensors: tensors)
  }

  private static func entries(of file: InputFile, limits: Limits) throws(PyTorchError) -> [String: Range<Int>] {
    var result: [String: Range<Int>] = [:]
    var offset = 0
    while offset + 512 <= file.byteCount, result.count < 64 {
      let header: [UInt8]
      do throws(FileError) { header = try file.read(at: offset, count: 512) } catch { throw .file(error) }
      if header[0] == 0 { break }
      let name = String(decoding: header[..<100].prefix { $0 != 0 }, as: UTF8.self)
      let digits = header[124..<136].filter { $0 != 0 && $0 != UInt8(ascii: " ") }
      guard let byteCount = Int(String(decoding: digits, as: UTF8.self), radix: 8), byteCount >= 0,
        byteCount <= file.byteCount - offset - 512
      else { throw .notPyTorch(path: file.path, reason: "a tar archive whose entry \(name) does not lie in it") }
      result[name] = offset + 512..<offset + 512 + byteCount
      guard let next = (offset + 512 + byteCount).aligned(to: 512) else { break }
      offset = next
    }
    return result
  }

  private struct Storage {
    let format: BlockFormat
    let offset: Int
    let elementCount: Int
  }

  private static func storages(
    in range: Range<Int>, of file: InputFile, limits: Limits
  ) throws(PyTorchError) -> [ByteString: Storage] {
    var offset = range.lowerBound
    let count = try count(&offset, end: range.upperBound, in: file, limits: limits)
    var result: [ByteString: Storage] = [:]
    for _ in 0..<count {
      let row = try pickle(&offset, end: range.upperBound, in: file, limits: limits)
      guard let items = row.tuple(row.root), items.count == 3, let key = key(items[0], of: row),
        let className = row.global(items[2]), let format = PyTorchGlobals.storageFormats[className]
      else { throw .missingEntry(path: file.path, entry: "storage") }
      let elements = try integer(&offset, end: range.upperBound, in: file)
      guard elements >= 0, let bytes = Int.product(of: [elements, format.bytesPerBlock]),
        bytes <= range.upperBound - offset
      else { throw .outOfRange(path: file.path, tensor: key, reason: "its storage is not in the file") }
      result[key] = Storage(format: format, offset: offset, elementCount: elements)
      offset += bytes
    }
    // Views of storages: (key, root's key, offset, count).
    let views = try pickle(&offset, end: range.upperBound, in: file, limits: limits)
    guard case .list(let rows) = views[views.root] else { return result }
    for row in rows {
      guard let items = views.tuple(row), items.count == 4, let key = key(items[0], of: views),
        let rootKey = self.key(items[1], of: views), let root = result[rootKey], let skip = views.integer(items[2]),
        let count = views.integer(items[3]), skip >= 0, count >= 0, skip <= root.elementCount,
        count <= root.elementCount - skip
      else { throw .missingEntry(path: file.path, entry: "storage of a view") }
      result[key] = Storage(
        format: root.format, offset: root.offset + skip * root.format.bytesPerBlock, elementCount: count)
    }
    return result
  }

  private static func tensors(
    in range: Range<Int>, of file: InputFile, storages: [ByteString: Storage], limits: Limits
  ) throws(PyTorchError) -> [ByteString: TensorRef] {
    var offset = range.lowerBound
    let count = try count(&offset, end: range.upperBound, in: file, limits: limits)
    let cache = PanelCache()
    var result: [ByteString: TensorRef] = [:]
    for _ in 0..<count {
      let row = try pickle(&offset, end: range.upperBound, in: file, limits: limits)
      guard let items = row.tuple(row.root), items.count == 3, let key = key(items[0], of: row),
        let storageKey = self.key(items[1], of: row), let storage = storages[storageKey]
      else { throw .missingEntry(path: file.path, entry: "tensor") }
      let axes = try integer(&offset, end: range.upperBound, in: file) & 0xFFFF_FFFF
      guard axes <= limits.dimensionCount else {
        throw .limitExceeded(path: file.path, item: "axes", limit: limits.dimensionCount)
      }
      var numbers: [Int] = []
      for _ in 0..<2 * axes + 1 { numbers.append(try integer(&offset, end: range.upperBound, in: file)) }
      let dimensions = Array(numbers[..<axes])
      let strides = Array(numbers[axes..<2 * axes])
      let start = numbers[2 * axes]
      guard let shape = Shape(dimensions), strides.allSatisfy({ $0 >= 0 }), start >= 0 else {
        throw .invalidTensor(path: file.path, tensor: key, reason: "not described as PyTorch does")
      }
      guard shape.elementCount <= storage.elementCount, start <= storage.elementCount,
        shape.elementCount == 0
          || PyTorchTensorReader.reach(dimensions, strides).map({ $0 < storage.elementCount - start }) == true
      else { throw .outOfRange(path: file.path, tensor: key, reason: "it reaches past its storage") }
      let source = StridedTensorSource(
        file: file, offset: storage.offset + start * storage.format.bytesPerBlock, dimensions: dimensions,
        strides: strides, elementByteCount: storage.format.bytesPerBlock)
      result[key] = TensorRef(name: key, shape: shape, format: storage.format, source: source).paneled(cache)
    }
    return result
  }

  static func key(_ id: Int, of graph: PickleGraph) -> ByteString? {
    graph.text(id) ?? graph.integer(id).map { ByteString(String($0)) }
  }

  private static func count(
    _ offset: inout Int, end: Int, in file: InputFile, limits: Limits
  ) throws(PyTorchError) -> Int {
    let graph = try pickle(&offset, end: end, in: file, limits: limits)
    guard let count = graph.integer(graph.root), count >= 0, count <= limits.tensorCount else {
      throw .notPyTorch(path: file.path, reason: "a tar archive without a count of its tensors")
    }
    return count
  }

  private static func integer(_ offset: inout Int, end: Int, in file: InputFile) throws(PyTorchError) -> Int {
    guard end - offset >= 8 else {
      throw .outOfRange(path: file.path, tensor: "", reason: "the list of tensors ends too early")
    }
    do throws(FileError) {
      let value = try file.read(at: offset, count: 8).integer(at: 0, as: Int.self)
      offset += 8
      return value
    } catch { throw .file(error) }
  }

  private static func pickle(
    _ offset: inout Int, end: Int, in file: InputFile, limits: Limits
  ) throws(PyTorchError) -> PickleGraph {
    do throws(PickleError) {
      let graph = try PickleMachine.read(file, at: offset, end: end, limits: limits, allows: PyTorchGlobals.allows)
      offset = graph.endOffset
      return graph
    } catch { throw .pickle(error) }
  }
}
