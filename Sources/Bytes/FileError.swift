public import SystemPackage

/// What the operating system refused, or a file that is shorter than it says.
public enum FileError: Error, Hashable, Sendable {
  /// A call failed on the path.
  case system(operation: String, path: FilePath, errno: Errno)
  /// `wanted` bytes at `offset` reach past the end.
  case truncated(path: FilePath, offset: Int, wanted: Int, fileByteCount: Int)
  /// The path is a directory, a device or the like where a file is needed.
  case notARegularFile(path: FilePath)
  /// Stored bytes contradict themselves, which only shows when they are read.
  case damaged(path: FilePath, reason: String, offset: Int)
  /// A Zstandard file that cannot be expanded.
  case compression(path: FilePath, ZstandardError)
  /// The output is to be a directory and the path is something else.
  case notADirectory(path: FilePath)
  /// The output is a directory that holds no model: nothing there is ours to replace.
  case occupied(path: FilePath)
  /// The output exists and `overwrite` was not asked for.
  case exists(path: FilePath)
}

extension FileError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .system(let operation, let path, let errno):
      return "\(path): cannot \(operation): \(errno)\(advice(errno))"
    case .truncated(let path, let offset, let wanted, let fileByteCount):
      return "\(path): truncated: \(wanted) bytes at offset \(offset) reach past its end at \(fileByteCount); "
        + "fetch the file again"
    case .notARegularFile(let path):
      return "\(path): not a regular file"
    case .damaged(let path, let reason, let offset):
      return "\(path): \(reason), at offset \(offset)"
    case .compression(let path, let error):
      return "\(path): \(error)"
    case .notADirectory(let path):
      return "\(path): not a directory; for a single file use a name that ends in .gguf"
    case .occupied(let path):
      return "\(path): a directory with other files than a model's; choose another name"
    case .exists(let path):
      return "\(path): exists already; choose another name or pass --force"
    }
  }

  private func advice(_ errno: Errno) -> String {
    switch errno {
    case .noSpace: "; free some space or write elsewhere (nothing was left behind)"
    case .permissionDenied, .readOnlyFileSystem, .notPermitted:
      "; choose a place you may write to, or change its rights"
    default: ""
    }
  }
}
