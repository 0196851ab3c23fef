import Glibc
import SystemPackage

extension InputFile {
  /// Weights never shrink that much: more is a bomb.
  private static let greatestRatio = 256
  /// What may be expanded whatever its ratio.
  private static let freeByteCount = 1 << 26

  /// The expanded bytes in a file without a name, beside this one or where temporary files go; it vanishes with its
  /// descriptor.
  func expanded() throws(FileError) -> (FileDescriptor, byteCount: Int) {
    let target = try unnamedFile()
    do throws(FileError) {
      return (target, try expand(to: target))
    } catch {
      try? target.close()
      throw error
    }
  }

  private func unnamedFile() throws(FileError) -> FileDescriptor {
    let folder = path.removingLastComponent()
    var problem = Errno.permissionDenied
    for candidate in [folder.isEmpty ? "." : folder, "/var/tmp", "/tmp"] as [FilePath] {
      // O_TMPFILE, which the C header spells as a macro that Swift cannot import.
      let handle = unsafe open(candidate.string, O_RDWR | O_CLOEXEC | 0o20000000 | O_DIRECTORY, mode_t(0o600))
      if handle >= 0 { return FileDescriptor(rawValue: handle) }
      problem = Errno(rawValue: errno)
    }
    throw .system(operation: "find room to expand it", path: path, errno: problem)
  }

  private func expand(to target: FileDescriptor) throws(FileError) -> Int {
    let (product, overflow) = byteCount.multipliedReportingOverflow(by: Self.greatestRatio)
    let limit = overflow ? Int.max : max(product, Self.freeByteCount)
    let stream = ZstandardStream()
    var offset = 0
    var written = 0
    while offset < byteCount {
      let input = try read(at: offset, count: min(1 << 18, byteCount - offset))
      var position = 0
      while true {
        let output: [UInt8]
        do throws(ZstandardError) { output = try stream.next(input, &position, from: offset) } catch {
          throw .compression(path: path, error)
        }
        guard output.count <= limit - written else { throw .compression(path: path, .tooLarge(limit: limit)) }
        do {
          // Safe: the buffer is used inside the closure only.
          let count = unsafe try output.withUnsafeBytes {
            unsafe try target.writeAll(toAbsoluteOffset: Int64(written), $0)
          }
          written += count
        } catch {
          throw .system(operation: "expand", path: path, errno: error as? Errno ?? .ioError)
        }
        if position == input.count, output.count < ZstandardStream.chunkByteCount { break }
      }
      offset += input.count
    }
    guard !stream.isFrameOpen else {
      throw .compression(path: path, .damaged(reason: "the last frame is cut off", offset: offset))
    }
    return written
  }
}
