internal import CZstd

/// Expands frames piece by piece, with a window of 128 MiB at the most.
@safe
final class ZstandardStream {
  static let chunkByteCount = 1 << 17
  private let context: OpaquePointer?
  private(set) var isFrameOpen = false
  private var chunk = [UInt8](repeating: 0, count: chunkByteCount)

  init() { unsafe context = ZSTD_createDStream() }
  deinit { unsafe _ = ZSTD_freeDStream(context) }

  /// What the next bytes of `input` from `position` expand to, at most a chunk; a full one means that more may come.
  func next(_ input: [UInt8], _ position: inout Int, from offset: Int) throws(ZstandardError) -> [UInt8] {
    guard let context = unsafe context else { throw .damaged(reason: "out of memory", offset: offset) }
    var produced = 0
    var consumed = position
    // Safe: both buffers are arrays of exactly the sizes given, used inside the closures only.
    let status = unsafe input.withUnsafeBytes { source in
      unsafe chunk.withUnsafeMutableBytes { target in
        var input = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: consumed)
        var output = unsafe ZSTD_outBuffer(dst: target.baseAddress, size: target.count, pos: 0)
        let status = unsafe ZSTD_decompressStream(context, &output, &input)
        consumed = unsafe input.pos
        produced = unsafe output.pos
        return status
      }
    }
    position = consumed
    guard ZSTD_isError(status) == 0 else {
      throw .damaged(reason: unsafe String(cString: ZSTD_getErrorName(status)), offset: offset + position)
    }
    isFrameOpen = status != 0
    return Array(chunk[..<produced])
  }
}
