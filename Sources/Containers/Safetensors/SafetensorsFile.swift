//  0        8                      8 + N                        end of file
//  ┌────────┬──────────────────────┬────────────────────────────┐
//  │ N: u64 │ JSON header, N bytes │ tensors, each byte of one  │
//  └────────┴──────────────────────┴────────────────────────────┘
//  {"__metadata__": {"format": "pt"},
//   "wte.weight": {"dtype": "BF16", "shape": [50257, 768], "data_offsets": [0, 77194752]}, …}
//
//  Formats/Specs/safetensors.md; every SAFETENSORS-n below is a rule there.

public import Bytes
public import IR
public import SystemPackage

/// One safetensors file, its header read and every byte of it accounted for. Reads the header only.
public struct SafetensorsFile: Sendable {
  /// What the reference implementation allows, too (SAFETENSORS-2).
  public static let longestHeader = 100_000_000

  public let file: InputFile
  /// The strings of `__metadata__`, in order.
  public let metadata: Metadata
  /// In the order of the header; `name` is `sourceName`.
  public let tensors: [TensorRef]

  public init(_ path: FilePath, limits: Limits = Limits()) throws(SafetensorsError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    try self.init(file, limits: limits)
  }

  public init(_ file: InputFile, limits: Limits = Limits()) throws(SafetensorsError) {
    self.file = file
    let header = try Self.readHeader(of: file, limits: limits)
    var parser = SafetensorsHeaderParser(header.span, file: file, limits: limits)
    try parser.parse()
    metadata = parser.metadata
    tensors = parser.tensors
    try Self.checkExtents(of: parser.extents, dataOffset: 8 + header.count, file: file)
  }

  private static func readHeader(of file: InputFile, limits: Limits) throws(SafetensorsError) -> [UInt8] {
    let limit = min(limits.headerByteCount, longestHeader)
    guard file.byteCount >= 8 else {
      throw .truncated(path: file.path, headerByteCount: 0, fileByteCount: file.byteCount)
    }
    let count = try bytes(of: file, at: 0, count: 8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    // The limit first: it tells a file of another kind from a truncated one.
    guard count <= limit else { throw .headerTooLong(path: file.path, headerByteCount: count, limit: limit) }
    guard count <= file.byteCount - 8 else {
      throw .truncated(path: file.path, headerByteCount: count, fileByteCount: file.byteCount)
    }
    // One byte first, so that a hundred megabytes of nothing are refused before they are read.
    guard count > 0, try bytes(of: file, at: 8, count: 1) == [UInt8(ascii: "{")] else {
      throw .invalidHeader(path: file.path, reason: "does not begin with '{'", offset: 8)
    }
    return try bytes(of: file, at: 8, count: Int(count))
  }

  private static func bytes(of file: InputFile, at offset: Int, count: Int) throws(SafetensorsError) -> [UInt8] {
    do throws(FileError) { return try file.read(at: offset, count: count) } catch { throw .file(error) }
  }

  /// No byte belongs to two tensors or to none (SAFETENSORS-10, SAFETENSORS-11). Each extent is known to lie in the file.
  private static func checkExtents(
    of extents: [SafetensorsExtent], dataOffset: Int, file: InputFile
  ) throws(SafetensorsError) {
    var end = dataOffset
    var previous = ByteString("")
    for extent in extents.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
      if extent.offset < end {
        throw .overlap(path: file.path, tensor: extent.name, other: previous, offset: extent.offset)
      }
      if extent.offset > end { throw .hole(path: file.path, byteCount: extent.offset - end, offset: end) }
      end = extent.offset + extent.byteCount
      previous = extent.name
    }
    if end < file.byteCount { throw .hole(path: file.path, byteCount: file.byteCount - end, offset: end) }
  }
}

/// Which bytes of the file are the tensor's.
struct SafetensorsExtent {
  let name: ByteString
  let offset: Int
  let byteCount: Int
}
