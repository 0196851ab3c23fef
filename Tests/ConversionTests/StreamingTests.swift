import Bytes
import ContainerTesting
import Conversion
import IR
import Kernels
import Synchronization
import Testing

/// The order in which tensors are read, on a file of three.
@Suite struct StreamingTests {
  private final class Log: Sendable {
    let names = Mutex<[String]>([])
  }

  /// One row of four bytes, the first letter of its name.
  private struct Recorded: TensorSource {
    let name: String
    let follows: [ByteString]
    let log: Log

    func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
      log.names.withLock { $0.append(name) }
      bytes.copy(from: [UInt8](repeating: Array(name.utf8)[0], count: bytes.byteCount).rawSpan)
    }
  }

  private func read(_ follows: [(name: String, follows: [ByteString])]) throws -> (order: [String], bytes: [UInt8]) {
    let scratch = Scratch()
    let log = Log()
    let shape = try #require(Shape([1, 4]))
    let placements = follows.enumerated().map { place, row in
      FileLayout.Placement(
        tensor: TensorRef(
          name: ByteString(row.name), shape: shape, format: .i8,
          source: Recorded(name: row.name, follows: row.follows, log: log)),
        offset: 4 * place)
    }
    let path = scratch.path.appending("out")
    let file = try AtomicFile(path, overwrites: false)
    let layout = FileLayout(name: "out", header: [], placements: placements, byteCount: 4 * placements.count)
    try TensorStreamer(pool: WorkerPool(threads: 1)).write(layout, to: file)
    try file.commit()
    return (log.names.withLock { $0 }, try InputFile.contents(of: path, limit: 1 << 10))
  }

  @Test("a tensor is read behind those it follows, and written where it belongs")
  func follows() throws {
    let (order, bytes) = try read([("a", ["c"]), ("b", ["missing"]), ("c", ["d"]), ("d", [])])
    #expect(order == ["d", "c", "a", "b"])
    #expect(bytes == "aaaabbbbccccdddd".utf8.map { $0 })
  }

  @Test("two that follow each other are both written")
  func circle() throws {
    let (order, bytes) = try read([("a", ["b"]), ("b", ["a"]), ("c", ["c"])])
    #expect(order.sorted() == ["a", "b", "c"])
    #expect(bytes == "aaaabbbbcccc".utf8.map { $0 })
  }
}
