import CLinux
import Glibc
import Synchronization
public import SystemPackage

/// A file that appears under its name whole or not at all.
///
/// Where the file system can (`O_TMPFILE`), the bytes have no name until they are complete, so that even a killed run
/// leaves nothing behind; elsewhere they wait in a hidden sibling. `commit` makes them durable and gives them the name in
/// one step; an instance that is dropped before leaves no trace. Writing over a file that is being read is safe.
public final class AtomicFile: Sendable {
  public let path: FilePath
  private let descriptor: FileDescriptor
  /// The hidden sibling, or nil while the bytes have no name.
  private let sibling: FilePath?
  private let overwrites: Bool
  private let writtenByteCount = Atomic<Int>(0)

  /// After so many bytes the disk is told to begin, so that `commit` finds little left to wait for.
  private static let writebackStep = 4 << 20

  /// - Parameters:
  ///   - overwrites: whether `commit` may replace an existing file; checked now as well, before any work. Nothing but a
  ///     regular file is ever replaced: a device's name would be lost for the whole system.
  ///   - folder: where the bytes wait, on the same file system; the file's own folder when nil.
  public init(_ path: FilePath, overwrites: Bool, stagedIn folder: FilePath? = nil) throws(FileError) {
    self.path = path
    self.overwrites = overwrites
    var status = stat()
    if unsafe stat(path.string, &status) == 0 {
      guard overwrites else { throw .exists(path: path) }
      guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
    }
    let folder = folder ?? path.removingLastComponent()
    let permissions = mode_t(0o666)
    let unnamed = unsafe open(
      folder.isEmpty ? "." : folder.string, O_WRONLY | O_CLOEXEC | temporaryFileFlag, permissions)
    if unnamed >= 0 {
      descriptor = FileDescriptor(rawValue: unnamed)
      sibling = nil
      return
    }
    let sibling = Self.hiddenSibling(of: folder.appending(path.lastComponent?.string ?? "output"))
    let named = unsafe open(sibling.string, O_WRONLY | O_CLOEXEC | O_CREAT | O_EXCL, permissions)
    guard named >= 0 else { throw .system(operation: "write", path: path, errno: Errno(rawValue: errno)) }
    descriptor = FileDescriptor(rawValue: named)
    self.sibling = sibling
  }

  deinit {
    try? descriptor.close()
    // After a commit the name is gone already and this does nothing.
    if let sibling { unsafe _ = unlink(sibling.string) }
  }

  /// Writes all of `bytes` at `offset`; any thread may write any range.
  public func write(_ bytes: RawSpan, at offset: Int) throws(FileError) {
    // Safe: the buffer is used inside the closure only.
    let failure: Errno? = unsafe bytes.withUnsafeBytes { buffer in
      do {
        _ = unsafe try descriptor.writeAll(toAbsoluteOffset: Int64(offset), buffer)
        return nil
      } catch {
        return error as? Errno ?? .ioError
      }
    }
    if let failure { throw .system(operation: "write", path: path, errno: failure) }
    let (before, after) = writtenByteCount.add(bytes.byteCount, ordering: .relaxed)
    if before / Self.writebackStep != after / Self.writebackStep { quern_begin_writeback(descriptor.rawValue) }
  }

  public func write(_ bytes: [UInt8], at offset: Int) throws(FileError) { try write(bytes.rawSpan, at: offset) }

  /// Asks for room at once, so that a full disk is found before the work rather than after it. Best effort.
  public func reserve(byteCount: Int) throws(FileError) {
    let status = posix_fallocate(descriptor.rawValue, 0, byteCount)
    if status == ENOSPC || status == EFBIG || status == EDQUOT {
      throw .system(operation: "reserve \(byteCount) bytes", path: path, errno: Errno(rawValue: status))
    }
  }

  /// Makes the bytes durable, then gives them their name.
  public func commit() throws(FileError) {
    try flush()
    try name()
    syncFolder()
  }

  /// Commits files that belong together: all are durable before the first has its name, and when one cannot be named
  /// those before it are taken back, unless they replaced others.
  public static func commit(_ files: [AtomicFile]) throws(FileError) {
    for file in files { try file.flush() }
    for (position, file) in files.enumerated() {
      do {
        try file.name()
      } catch {
        for named in files[..<position] where !named.overwrites { unsafe _ = unlink(named.path.string) }
        throw error
      }
    }
    // Only now: names that belong together come one right after the other.
    for file in files { file.syncFolder() }
  }

  /// Makes the bytes durable; they still have no name.
  func flush() throws(FileError) {
    guard fsync(descriptor.rawValue) == 0 else { throw failure("write") }
  }

  /// Gives the bytes a name in a directory that nobody else knows yet.
  func name(inFresh folder: FilePath) throws(FileError) {
    let name = folder.appending(path.lastComponent?.string ?? "output")
    let isNamed = sibling.map { unsafe rename($0.string, name.string) == 0 } ?? link(to: name)
    guard isNamed else { throw failure("name") }
  }

  /// Gives the bytes their name.
  private func name() throws(FileError) {
    var source = sibling
    if sibling == nil {
      if !overwrites {
        guard link(to: path) else { throw errno == EEXIST ? .exists(path: path) : failure("name") }
        return
      }
      let name = Self.hiddenSibling(of: path)
      guard link(to: name) else { throw failure("name") }
      source = name
    }
    guard let source else { return }
    if !overwrites, unsafe access(path.string, F_OK) == 0 { throw .exists(path: path) }
    guard unsafe rename(source.string, path.string) == 0 else {
      let problem = failure("rename")
      unsafe _ = unlink(source.string)
      throw problem
    }
  }

  private func link(to name: FilePath) -> Bool {
    unsafe linkat(AT_FDCWD, "/proc/self/fd/\(descriptor.rawValue)", AT_FDCWD, name.string, AT_SYMLINK_FOLLOW) == 0
  }

  private func syncFolder() {
    let folder = path.removingLastComponent()
    let handle = unsafe open(folder.isEmpty ? "." : folder.string, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard handle >= 0 else { return }
    _ = fsync(handle)
    _ = close(handle)
  }

  private func failure(_ operation: String) -> FileError {
    .system(operation: operation, path: path, errno: Errno(rawValue: errno))
  }

  private static func hiddenSibling(of path: FilePath) -> FilePath {
    path.removingLastComponent().appending(".\(path.lastComponent?.string ?? "output").quern-\(getpid())")
  }
}

/// `O_TMPFILE`, which the C header spells as a macro that Swift cannot import.
private let temporaryFileFlag: Int32 = 0o20000000 | O_DIRECTORY
