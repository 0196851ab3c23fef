import Glibc
public import SystemPackage

/// A directory that appears under its name whole or not at all.
///
/// Its files have no names until `commit` (see `AtomicFile`), which names them in a hidden sibling and then gives that the
/// directory's name in one step. A run that is killed in the moment between leaves the sibling, which the next removes.
public final class AtomicDirectory: Sendable {
  public let path: FilePath
  private let folder: FilePath
  private let workingPath: FilePath
  private let replaces: Bool
  private let isStale: @Sendable (String) -> Bool

  /// - Parameters:
  ///   - overwrites: whether a directory that is not empty may be replaced.
  ///   - isStale: which of its files, by name, go with it; all others move into the new one unless that has the same.
  public init(
    _ path: FilePath, overwrites: Bool = false, isStale: @escaping @Sendable (String) -> Bool = { _ in true }
  ) throws(FileError) {
    self.path = path
    self.isStale = isStale
    folder = path.removingLastComponent()
    workingPath = folder.appending(".\(path.lastComponent?.string ?? "output").quern-\(getpid())")
    Self.removeStale(beside: path, in: folder)
    var status = stat()
    guard unsafe stat(path.string, &status) == 0 else {
      replaces = false
      guard unsafe access(folder.isEmpty ? "." : folder.string, W_OK) == 0 else {
        throw .system(operation: "create", path: path, errno: Errno(rawValue: errno))
      }
      return
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw overwrites ? .notADirectory(path: path) : .exists(path: path)
    }
    replaces = !FileSystem.names(in: path).isEmpty
    if replaces, !overwrites { throw .exists(path: path) }
  }

  /// A file to be in the directory.
  public func file(named name: String) throws(FileError) -> AtomicFile {
    try AtomicFile(path.appending(name), overwrites: true, stagedIn: folder)
  }

  /// Names the files, which are all that the directory will hold, and then the directory.
  public func commit(_ files: [AtomicFile]) throws(FileError) {
    for file in files { try file.flush() }
    guard unsafe mkdir(workingPath.string, 0o777) == 0 else {
      throw .system(operation: "create", path: path, errno: Errno(rawValue: errno))
    }
    // Holds what was replaced, or what could not be completed, and nothing at all when all went well.
    defer { Self.remove(workingPath) }
    for file in files { try file.name(inFresh: workingPath) }
    guard replaces ? exchange() : unsafe rename(workingPath.string, path.string) == 0 else {
      throw .system(operation: "rename", path: path, errno: Errno(rawValue: errno))
    }
    guard replaces else { return }
    for name in FileSystem.names(in: workingPath) where !isStale(name) && !FileSystem.exists(path.appending(name)) {
      unsafe _ = rename(workingPath.appending(name).string, path.appending(name).string)
    }
  }

  /// Puts the new directory in the old one's place, in one step where the file system can.
  private func exchange() -> Bool {
    typealias Exchange = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
    // Swift's Glibc does not declare renameat2. Safe: this is its signature in stdio.h.
    if let symbol = unsafe dlsym(nil, "renameat2") {
      let function = unsafe unsafeBitCast(symbol, to: Exchange.self)
      let exchangeFlag: UInt32 = 2  // RENAME_EXCHANGE of linux/fs.h
      if unsafe function(AT_FDCWD, workingPath.string, AT_FDCWD, path.string, exchangeFlag) == 0 { return true }
    }
    let aside = folder.appending(".\(path.lastComponent?.string ?? "output").quern-old-\(getpid())")
    guard unsafe rename(path.string, aside.string) == 0 else { return false }
    guard unsafe rename(workingPath.string, path.string) == 0 else {
      let problem = errno
      unsafe _ = rename(aside.string, path.string)
      errno = problem
      return false
    }
    return unsafe rename(aside.string, workingPath.string) == 0
  }

  /// Removes working directories of runs that no longer are.
  private static func removeStale(beside path: FilePath, in folder: FilePath) {
    let prefix = ".\(path.lastComponent?.string ?? "output").quern-"
    for name in FileSystem.names(in: folder.isEmpty ? "." : folder) where name.hasPrefix(prefix) {
      guard let process = pid_t(name.dropFirst(prefix.count)), kill(process, 0) != 0, errno == ESRCH else { continue }
      remove(folder.appending(name))
    }
  }

  /// The directory and the files in it, no directories below.
  private static func remove(_ path: FilePath) {
    for name in FileSystem.names(in: path) { unsafe _ = unlink(path.appending(name).string) }
    unsafe _ = rmdir(path.string)
  }
}
