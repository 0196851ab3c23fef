internal import CZstd

/// Why Zstandard bytes could not be expanded.
public enum ZstandardError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Damaged, or cut off; the library's reason.
  case damaged(reason: String, offset: Int)
  /// More than the limit: a bomb, or a file of another kind than expected.
  case tooLarge(limit: Int)
  /// What is read lies in such an order that the file would be expanded over and over.
  case unordered

  public var description: String {
    switch self {
    case .damaged(let reason, let offset): "compressed: \(reason) at offset \(offset)"
    case .tooLarge(let limit): "compressed: expands to more than \(limit) bytes"
    case .unordered:
      "its tensors lie in an order for which it would be expanded over and over; expand it first (zstd -d, or unzip)"
    }
  }
}

/// Zstandard (RFC 8878), through libzstd.
public enum Zstandard {
  /// Whether the bytes begin with a frame, or with a skippable one.
  public static func isCompressed(_ bytes: [UInt8]) -> Bool {
    guard bytes.count >= 4 else { return false }
    let magic = UInt32(bytes[0]) | UInt32(bytes[1]) << 8 | UInt32(bytes[2]) << 16 | UInt32(bytes[3]) << 24
    return magic == 0xFD2F_B528 || magic & 0xFFFF_FFF0 == 0x184D_2A50
  }

  /// All frames, expanded. Never allocates more than `limit` and a window of 128 MiB, whatever a frame's header claims.
  public static func expand(_ bytes: [UInt8], limit: Int) throws(ZstandardError) -> [UInt8] {
    guard let context = unsafe ZSTD_createDStream() else { throw .damaged(reason: "out of memory", offset: 0) }
    defer { unsafe _ = ZSTD_freeDStream(context) }
    var result: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 17)
    var position = 0
    var isFrameOpen = false
    while true {
      var produced = 0
      // Safe: both buffers are arrays of exactly the sizes given, used inside the closures only.
      let status = unsafe bytes.withUnsafeBytes { source in
        unsafe chunk.withUnsafeMutableBytes { target in
          var input = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: position)
          var output = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
          let status = unsafe ZSTD_decompressStream(context, &output, &input)
          position = unsafe input.pos
          produced = unsafe output.pos
          return status
        }
      }
      guard ZSTD_isError(status) == 0 else {
        throw .damaged(reason: unsafe String(cString: ZSTD_getErrorName(status)), offset: position)
      }
      guard result.count + produced <= limit else { throw .tooLarge(limit: limit) }
      result += chunk[..<produced]
      isFrameOpen = status != 0
      if position == bytes.count, produced < chunk.count { break }
    }
    if isFrameOpen { throw .damaged(reason: "the last frame is cut off", offset: position) }
    return result
  }
}
