import Glibc
public import SystemPackage

/// A file open for reading at absolute offsets, from any thread. One that is Zstandard, whatever its name, is expanded
/// into a file without a name first, so that it reads like any other.
///
/// Reading copies (`pread`) rather than maps: a mapped file that another process truncates ends this one by a signal, and
/// every touched page would count as ours, so that memory would grow with the model.
public final class InputFile: Sendable {
  public let path: FilePath
  public let byteCount: Int
  private let descriptor: FileDescriptor

  public convenience init(_ path: FilePath) throws(FileError) {
    let file = try InputFile(asStored: path)
    guard file.byteCount >= 4, Zstandard.isCompressed(try file.read(at: 0, count: 4)) else {
      try self.init(asStored: path)
      return
    }
    let (descriptor, byteCount) = try file.expanded()
    self.init(path: path, byteCount: byteCount, descriptor: descriptor)
  }

  private init(path: FilePath, byteCount: Int, descriptor: FileDescriptor) {
    self.path = path
    self.byteCount = byteCount
    self.descriptor = descriptor
  }

  /// The file as it is, compressed or not.
  private init(asStored path: FilePath) throws(FileError) {
    self.path = path
    do {
      descriptor = try FileDescriptor.open(path, .readOnly, options: .closeOnExec)
    } catch {
      throw .system(operation: "open", path: path, errno: error as? Errno ?? .ioError)
    }
    var status = stat()
    guard unsafe fstat(descriptor.rawValue, &status) == 0 else {
      let errno = Errno(rawValue: Glibc.errno)
      try? descriptor.close()
      throw .system(operation: "stat", path: path, errno: errno)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      try? descriptor.close()
      throw .notARegularFile(path: path)
    }
    byteCount = Int(status.st_size)
  }

  deinit { try? descriptor.close() }

  /// Fills `bytes` from `offset`; a range past the end is an error, never a short answer.
  public func read(at offset: Int, into bytes: inout MutableRawSpan) throws(FileError) {
    let wanted = bytes.byteCount
    guard offset >= 0, offset <= byteCount, wanted <= byteCount - offset else {
      throw .truncated(path: path, offset: offset, wanted: wanted, fileByteCount: byteCount)
    }
    // Safe: the buffer is the span's own memory and is used inside the closure only.
    let failure: FileError? = unsafe bytes.withUnsafeMutableBytes { buffer in
      var done = 0
      while done < wanted {
        do {
          let count = unsafe try descriptor.read(
            fromAbsoluteOffset: Int64(offset + done), into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]))
          if count == 0 {
            return FileError.truncated(path: path, offset: offset, wanted: wanted, fileByteCount: offset + done)
          }
          done += count
        } catch {
          return .system(operation: "read", path: path, errno: error as? Errno ?? .ioError)
        }
      }
      return nil
    }
    if let failure { throw failure }
  }

  public func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
    guard count >= 0, offset >= 0, offset <= byteCount, count <= byteCount - offset else {
      throw .truncated(path: path, offset: offset, wanted: count, fileByteCount: byteCount)
    }
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withMutableRawSpan { (raw) throws(FileError) in try read(at: offset, into: &raw) }
    return bytes
  }

  /// The whole file, if it is no longer than `limit`; expanded if it is Zstandard, whatever its name.
  public static func contents(of path: FilePath, limit: Int) throws(FileError) -> [UInt8] {
    let file = try InputFile(asStored: path)
    guard file.byteCount <= limit else { throw .system(operation: "read", path: path, errno: .fileTooLarge) }
    let bytes = try file.read(at: 0, count: file.byteCount)
    guard Zstandard.isCompressed(bytes) else { return bytes }
    do { return try Zstandard.expand(bytes, limit: limit) } catch { throw .compression(path: path, error) }
  }
}
