import Glibc
public import SystemPackage

/// A file open for reading at absolute offsets, from any thread. One that is Zstandard, whatever its name, reads like any
/// other and is expanded as it is read (`ExpandedBytes`): no copy of it is made on disk.
///
/// Reading copies (`pread`) rather than maps: a mapped file that another process truncates ends this one by a signal, and
/// every touched page would count as ours, so that memory would grow with the model.
public final class InputFile: Sendable {
  public let path: FilePath
  public let byteCount: Int
  private let content: Content

  private enum Content {
    case stored(FileDescriptor)
    case expanded(ExpandedBytes)
    case memory([UInt8])
    case part(InputFile, offset: Int)
  }

  public convenience init(_ path: FilePath) throws(FileError) {
    let file = try InputFile(asStored: path)
    guard file.byteCount >= 4, Zstandard.isCompressed(try file.read(at: 0, count: 4)) else {
      try self.init(asStored: path)
      return
    }
    let frames = try ZstandardFrames(file)
    self.init(ZstandardDecoder(frames, of: file), byteCount: frames.expandedByteCount, path: path)
  }

  /// What a decoder makes of a part of another file; `path` is that file's, for errors.
  /// Parts that share a cache share its bounds.
  public init(
    _ decoder: any ForwardDecoder, byteCount: Int, path: FilePath, cache: ExpandedCache = ExpandedCache()
  ) {
    self.path = path
    self.byteCount = byteCount
    content = .expanded(ExpandedBytes(decoder, byteCount: byteCount, path: path, cache: cache))
  }

  /// A part of another file, known to lie in it, that reads like one of its own; `path` is that file's, for errors.
  public convenience init(part range: Range<Int>, of file: InputFile) {
    precondition(range.lowerBound >= 0 && range.upperBound <= file.byteCount, "a part outside its file")
    self.init(content: .part(file, offset: range.lowerBound), byteCount: range.count, path: file.path)
  }

  private init(content: Content, byteCount: Int, path: FilePath) {
    self.path = path
    self.byteCount = byteCount
    self.content = content
  }

  /// A small part of a file that was expanded as a whole; `path` is that file's, for errors.
  public init(expanded bytes: [UInt8], path: FilePath) {
    self.path = path
    byteCount = bytes.count
    content = .memory(bytes)
  }

  /// Whether its bytes come from a decoder, which makes it dear to go back.
  public var readsForward: Bool {
    switch content {
    case .expanded: true
    case .part(let file, _): file.readsForward
    case .stored, .memory: false
    }
  }

  /// The file as it is, compressed or not.
  public init(asStored path: FilePath) throws(FileError) {
    self.path = path
    let descriptor: FileDescriptor
    do {
      // Without waiting for who might write to a pipe of that name.
      descriptor = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec, .nonBlocking])
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
    content = .stored(descriptor)
  }

  deinit { if case .stored(let descriptor) = content { try? descriptor.close() } }

  /// Fills `bytes` from `offset`; a range past the end is an error, never a short answer.
  public func read(at offset: Int, into bytes: inout MutableRawSpan) throws(FileError) {
    let wanted = bytes.byteCount
    guard offset >= 0, offset <= byteCount, wanted <= byteCount - offset else {
      throw .truncated(path: path, offset: offset, wanted: wanted, fileByteCount: byteCount)
    }
    let descriptor: FileDescriptor
    switch content {
    case .expanded(let expanded): return try expanded.read(at: offset, into: &bytes)
    case .part(let file, let start): return try file.read(at: start + offset, into: &bytes)
    case .memory(let held): return bytes.copy(from: held.rawSpan.extracting(offset..<offset + wanted))
    case .stored(let stored): descriptor = stored
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
