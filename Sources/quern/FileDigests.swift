import Bytes
import Kernels
import SystemPackage

/// Name, size and SHA-256 of a file for a report, computed once. That takes as long as quantizing to simple types, so it
/// is begun meanwhile.
final class FileDigest: Sendable {
  let path: FilePath
  private let row: Deferred<Result<JSONValue, FileError>>
  private let background: BackgroundWork?

  /// - Parameter inBackground: on a thread of its own, from now on.
  init(of path: FilePath, inBackground: Bool = false) {
    let row = Deferred { Result { () throws(FileError) in try Self.row(of: path) } }
    self.path = path
    self.row = row
    background = inBackground ? BackgroundWork { _ = row.value } : nil
  }

  /// Any thread may ask for it; those that come while one computes wait for it.
  func result() throws(FileError) -> JSONValue {
    background?.wait()
    return try row.value.get()
  }

  private static func row(of path: FilePath) throws(FileError) -> JSONValue {
    let file = try InputFile(asStored: path)
    var hash = SHA256()
    // Stays in a core's second-level cache.
    var piece = [UInt8](repeating: 0, count: 1 << 18)
    for offset in stride(from: 0, to: file.byteCount, by: piece.count) {
      piece.removeLast(max(0, piece.count - (file.byteCount - offset)))
      try piece.withMutableRawSpan { (span) throws(FileError) in try file.read(at: offset, into: &span) }
      hash.update(piece)
    }
    return .object([
      "name": .text(path.lastComponent?.string ?? path.string), "bytes": .integer(file.byteCount),
      "sha256": .text(hash.hexadecimal),
    ])
  }
}

/// Those of several files, in their order.
struct FileDigests {
  private let files: [FileDigest]

  /// - Parameter begun: one that may be among them.
  init(of paths: [FilePath], begun: FileDigest? = nil) {
    files = paths.map { path in begun.flatMap { $0.path == path ? $0 : nil } ?? FileDigest(of: path) }
  }

  func compute() { for file in files { _ = try? file.result() } }

  func rows() throws(FileError) -> [JSONValue] {
    var rows: [JSONValue] = []
    for file in files { rows.append(try file.result()) }
    return rows
  }
}
