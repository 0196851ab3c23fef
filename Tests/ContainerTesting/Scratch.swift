import Bytes
import Glibc
public import IR
public import SystemPackage

/// A fresh directory, removed at the end.
public final class Scratch: Sendable {
  public let path: FilePath
  private let isTemporary: Bool

  public init() {
    var template = Array("/tmp/quern-test-XXXXXX".utf8CString)
    path = unsafe FilePath(String(cString: mkdtemp(&template)))
    isTemporary = true
  }

  /// A named directory that stays.
  public init(under folder: FilePath, name: String) {
    path = folder.appending(name)
    isTemporary = false
    unsafe _ = mkdir(path.string, 0o777)
  }

  deinit { if isTemporary { _ = unsafe system("rm -rf \(path)") } }

  /// Writes `bytes`, then a hole up to `byteCount`.
  public func write(_ bytes: [UInt8], to name: String, byteCount: Int? = nil) throws -> FilePath {
    let target = path.appending(name)
    let descriptor = try FileDescriptor.open(
      target, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite])
    try descriptor.closeAfter {
      try descriptor.writeAll(bytes)
      if let byteCount { _ = ftruncate(descriptor.rawValue, byteCount) }
    }
    return target
  }

  /// What a conversion does with a layout, in its simplest form.
  public func write(_ layout: FileLayout) throws -> FilePath {
    let target = path.appending(layout.name)
    let file = try AtomicFile(target, overwrites: true)
    try file.reserve(byteCount: layout.byteCount)
    try file.write(layout.header, at: 0)
    for placement in layout.placements { try file.write(try placement.tensor.readAll(), at: placement.offset) }
    try file.commit()
    return target
  }

  /// Calls `body` with the path of a file that holds `bytes` cut after each length in `lengths`.
  public func truncations(of bytes: [UInt8], lengths: Range<Int>, body: (FilePath, Int) throws -> Void) throws {
    let target = try write(bytes, to: "truncated")
    for length in lengths.reversed() {
      _ = unsafe truncate(target.string, length)
      try body(target, length)
    }
  }

  /// Calls `body` with the path of a file that holds `bytes`, one of those in `range` replaced by each of `values`.
  public func corruptions(
    of bytes: [UInt8], range: Range<Int>, values: (UInt8) -> [UInt8], body: (FilePath, Int) throws -> Void
  ) throws {
    let target = try write(bytes, to: "corrupted")
    let descriptor = try FileDescriptor.open(target, .readWrite)
    try descriptor.closeAfter {
      for offset in range {
        for value in values(bytes[offset]) {
          try descriptor.writeAll(toAbsoluteOffset: Int64(offset), [value])
          try body(target, offset)
        }
        try descriptor.writeAll(toAbsoluteOffset: Int64(offset), [bytes[offset]])
      }
    }
  }
}

/// Where to leave files for other programs to check, when asked to.
public let peerFolder: FilePath? = unsafe getenv("QUERN_PEER_FILES").map { unsafe FilePath(String(cString: $0)) }

/// Flipped bits and the extremes.
public func corruptValues(of byte: UInt8) -> [UInt8] { [byte ^ 1, byte ^ 0x10, byte ^ 0x80, byte &+ 1, 0, 0xFF] }
