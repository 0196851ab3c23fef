import Glibc
public import SystemPackage

/// A directory that appears under its name whole or not at all: files are made in a hidden sibling, which `commit` renames.
public final class AtomicDirectory: Sendable {
  public let path: FilePath
  /// Where to put the files before `commit`.
  public let workingPath: FilePath

  /// The target must not exist, or be an empty directory.
  public init(_ path: FilePath) throws(FileError) {
    self.path = path
    if unsafe access(path.string, F_OK) == 0, unsafe rmdir(path.string) != 0 { throw .exists(path: path) }
    workingPath = path.removingLastComponent()
      .appending(".\(path.lastComponent?.string ?? "output").quern-\(getpid())")
    guard unsafe mkdir(workingPath.string, 0o777) == 0 else {
      throw .system(operation: "create", path: path, errno: Errno(rawValue: errno))
    }
  }

  deinit {
    // After a commit there is nothing under this name.
    for name in FileSystem.names(in: workingPath) { unsafe _ = unlink(workingPath.appending(name).string) }
    unsafe _ = rmdir(workingPath.string)
  }

  public func commit() throws(FileError) {
    guard unsafe rename(workingPath.string, path.string) == 0 else {
      throw .system(operation: "rename", path: path, errno: Errno(rawValue: errno))
    }
  }
}
