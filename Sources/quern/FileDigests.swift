import Bytes
import Kernels
import Synchronization
import SystemPackage

/// Names, sizes and SHA-256 of files for a report, computed once. That takes as long as quantizing to simple types, so it
/// is begun meanwhile.
final class FileDigests: Sendable {
  private let paths: [FilePath]
  private let result = Mutex<Result<[JSONValue], FileError>?>(nil)

  init(of paths: [FilePath]) { self.paths = paths }

  /// Any thread may call it; those that come while one computes wait for it.
  func compute() {
    result.withLock { result in
      if result == nil { result = Result { () throws(FileError) in try paths.map(Self.row) } }
    }
  }

  /// In the order of the paths.
  func rows() throws(FileError) -> [JSONValue] {
    compute()
    return try result.withLock { $0 }?.get() ?? []
  }

  private static func row(of path: FilePath) throws(FileError) -> JSONValue {
    let file = try InputFile(path)
    var hash = SHA256()
    // Stays in a core's second-level cache.
    let piece = 1 << 18
    for offset in stride(from: 0, to: file.byteCount, by: piece) {
      hash.update(try file.read(at: offset, count: min(piece, file.byteCount - offset)))
    }
    return .object([
      "name": .text(path.lastComponent?.string ?? path.string), "bytes": .integer(file.byteCount),
      "sha256": .text(hash.hexadecimal),
    ])
  }
}
