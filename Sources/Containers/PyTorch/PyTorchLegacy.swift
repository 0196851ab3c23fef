import Archives
import Bytes

/// Opens what PyTorch wrote before 1.6: pickles and raw storages, one after the other.
enum PyTorchLegacy {
  /// 0x1950a86a20f9469cfc6c, least significant byte first.
  private static let magic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]

  static func open(_ file: InputFile, limits: Limits) throws(PyTorchError) -> PyTorchContents {
    var offset = 0
    let magic = try next(&offset, in: file, limits: limits)
    guard case .bigInteger(Self.magic) = magic[magic.root] else {
      throw .notPyTorch(path: file.path, reason: "a pickle without PyTorch's mark")
    }
    let version = try next(&offset, in: file, limits: limits)
    guard version.integer(version.root) == 1001 else {
      throw .notPyTorch(path: file.path, reason: "an unknown version of the format before 1.6")
    }
    let system = try next(&offset, in: file, limits: limits)
    let littleEndian = system.members(system.root)?.first { system.text($0.key) == "little_endian" }
    if let littleEndian, case .bool(false) = system[littleEndian.value] { throw .bigEndian(path: file.path) }
    let graph = try next(&offset, in: file, limits: limits)
    let keys = try next(&offset, in: file, limits: limits)
    guard case .list(let items) = keys[keys.root] else {
      throw .notPyTorch(path: file.path, reason: "the list of storages is missing")
    }
    return PyTorchContents(
      file: file, graph: graph, storages: try storages(items.map { keys.text($0) }, of: graph, at: offset, in: file))
  }

  /// The storages follow in the order of `keys`; how long an element is, only the pickle says.
  private static func storages(
    _ keys: [ByteString?], of graph: PickleGraph, at start: Int, in file: InputFile
  ) throws(PyTorchError) -> [ByteString: Range<Int>] {
    var described: [ByteString: PyTorchStorage] = [:]
    for node in graph.nodes {
      guard case .persistent(let id) = node, let storage = PyTorchStorage(id, in: graph) else { continue }
      described[storage.key] = storage
    }
    var result: [ByteString: Range<Int>] = [:]
    var offset = start
    for key in keys {
      guard let key, let storage = described[key], result[key] == nil else {
        throw .missingEntry(path: file.path, entry: key ?? "storage")
      }
      let count: UInt64
      do throws(FileError) {
        count = try file.read(at: offset, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
      } catch {
        throw .file(error)
      }
      offset += 8
      guard count == storage.elementCount, let byteCount = storage.byteCount, byteCount <= file.byteCount - offset
      else {
        throw .outOfRange(
          path: file.path, tensor: key,
          reason: "its storage of \(count) elements at offset \(offset) is not in the file")
      }
      result[key] = offset..<offset + byteCount
      offset += byteCount
    }
    return result
  }

  private static func next(
    _ offset: inout Int, in file: InputFile, limits: Limits
  ) throws(PyTorchError) -> PickleGraph {
    do throws(PickleError) {
      let graph = try PickleMachine.read(
        file, at: offset, end: file.byteCount, limits: limits, allows: PyTorchGlobals.allows)
      offset = graph.endOffset
      return graph
    } catch {
      throw .pickle(error)
    }
  }
}
