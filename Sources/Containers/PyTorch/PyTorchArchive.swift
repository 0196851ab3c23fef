import Archives
import Bytes

/// Opens the zip archives that PyTorch writes since 1.6.
enum PyTorchArchive {
  static func open(_ file: InputFile, limits: Limits) throws(PyTorchError) -> PyTorchContents {
    let archive = try zip { () throws(ZipError) in try ZipArchive(file, limits: limits) }
    let pickles = archive.entries.filter { $0.name == "data.pkl" || $0.name.hasSuffix("/data.pkl") }
    guard pickles.count == 1, let pickle = pickles.first else {
      throw .missingEntry(path: file.path, entry: "single data.pkl")
    }
    let folder = pickle.name.bytes.dropLast("data.pkl".utf8.count)
    if let order = archive[ByteString(bytes: folder + Array("byteorder".utf8))] {
      let text = try zip { () throws(ZipError) in try archive.read(order, limit: 64) }
      guard text == Array("little".utf8) else { throw .bigEndian(path: file.path) }
    }
    let start = try zip { () throws(ZipError) in try archive.dataOffset(of: pickle) }
    let graph: PickleGraph
    do throws(PickleError) {
      graph = try PickleMachine.read(
        file, at: start, end: start + pickle.byteCount, limits: limits, allows: PyTorchGlobals.allows)
    } catch {
      throw .pickle(error)
    }
    let prefix = Array(folder) + Array("data/".utf8)
    var storages: [ByteString: Range<Int>] = [:]
    for entry in archive.entries where entry.name.bytes.starts(with: prefix) {
      let offset = try zip { () throws(ZipError) in try archive.dataOffset(of: entry) }
      storages[ByteString(bytes: Array(entry.name.bytes.dropFirst(prefix.count)))] = offset..<offset + entry.byteCount
    }
    return PyTorchContents(file: file, graph: graph, storages: storages)
  }

  private static func zip<Result>(_ body: () throws(ZipError) -> Result) throws(PyTorchError) -> Result {
    do throws(ZipError) { return try body() } catch { throw .zip(error) }
  }
}
