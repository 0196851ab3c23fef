import Bytes
import IR
import SystemPackage

/// Reads a GGUF header front to back and checks it against the rules.
struct GGUFHeaderParser {
  static let defaultAlignment = 32

  private var values: GGUFValueReader
  private let file: InputFile
  private let limits: Limits
  private(set) var version: UInt32 = 0
  private(set) var metadata = Metadata()
  private(set) var tensors: [TensorRef] = []
  private(set) var alignment = defaultAlignment
  private(set) var dataOffset = 0

  init(_ file: InputFile, limits: Limits) {
    self.file = file
    self.limits = limits
    values = GGUFValueReader(file, limits: limits)
  }

  mutating func parse() throws(GGUFError) {
    try parseVersion()
    // A tensor takes at least an empty name, no axes, a type and an offset; a pair a key of one byte and a value of one.
    let tensorCount = try values.readCount(of: "tensors", minimumByteCount: 24, limit: limits.tensorCount)
    let pairCount = try values.readCount(of: "metadata pairs", minimumByteCount: 14, limit: limits.metadataCount)
    for _ in 0..<pairCount { try parsePair() }
    try checkAlignment()
    var infos: [TensorInfo] = []
    var seen: Set<ByteString> = []
    for _ in 0..<tensorCount {
      let info = try parseTensor()
      guard seen.insert(info.name).inserted else {
        throw .duplicateTensor(path: file.path, tensor: info.name, offset: info.headerOffset)
      }
      infos.append(info)
    }
    guard let start = values.offset.aligned(to: alignment) else {
      throw .truncated(path: file.path, item: "the padding before the data", name: "", offset: values.offset)
    }
    dataOffset = start
    tensors.reserveCapacity(infos.count)
    for info in infos { tensors.append(try reference(to: info)) }
    try checkOverlaps(infos)
  }

  private mutating func parseVersion() throws(GGUFError) {
    guard file.byteCount >= 4, try values.readBytes(4) == Array("GGUF".utf8) else { throw .notGGUF(path: file.path) }
    version = try values.readUInt32()
    // Real versions are small: with nothing in the lower half, the number was written the other way round.
    if version & 0xFFFF == 0, version != 0 { throw .bigEndian(path: file.path) }
    guard version == 2 || version == 3 else { throw .unsupportedVersion(path: file.path, version: version) }
  }

  private mutating func parsePair() throws(GGUFError) {
    let keyOffset = values.offset
    values.name = ""
    values.item = "a metadata key"
    let key = try values.readString(limit: limits.nameByteCount)
    guard !key.isEmpty else { throw .emptyName(path: file.path, item: "a metadata pair", offset: keyOffset) }
    guard metadata[key] == nil else { throw .duplicateKey(path: file.path, key: key, offset: keyOffset) }
    values.name = key
    values.item = "the value of"
    metadata[key] = try values.readValue()
  }

  private mutating func checkAlignment() throws(GGUFError) {
    guard let value = metadata["general.alignment"] else { return }
    guard case .uint32(let bytes) = value, bytes >= 8, bytes & (bytes - 1) == 0 else {
      throw .invalidAlignment(path: file.path, value: value.int.map(String.init) ?? "\(value.ggufType)")
    }
    alignment = Int(bytes)
  }

  private mutating func parseTensor() throws(GGUFError) -> TensorInfo {
    let start = values.offset
    values.name = ""
    values.item = "a tensor's name"
    let name = try values.readString(limit: limits.nameByteCount)
    guard !name.isEmpty else { throw .emptyName(path: file.path, item: "a tensor", offset: start) }
    values.name = name
    values.item = "the description of tensor"
    let shapeOffset = values.offset
    let axes = try values.readUInt32()
    guard axes <= 4 else {
      throw .tooManyDimensions(path: file.path, tensor: name, count: axes, offset: shapeOffset)
    }
    var dimensions: [UInt64] = []
    for _ in 0..<axes { dimensions.append(try values.readUInt64()) }
    let typeOffset = values.offset
    let type = try values.readUInt32()
    guard let format = BlockFormat.ggml(type) else {
      throw .unknownTensorType(
        path: file.path, tensor: name, type: type, name: Self.withdrawnTypes[type], offset: typeOffset)
    }
    let outermostFirst = dimensions.reversed().compactMap { Int(exactly: $0) }
    let tooLarge = GGUFError.shapeTooLarge(path: file.path, tensor: name, dimensions: dimensions, offset: shapeOffset)
    guard outermostFirst.count == dimensions.count, let shape = Shape(outermostFirst) else { throw tooLarge }
    guard shape.columns % format.elementsPerBlock == 0 else {
      throw .partialBlock(
        path: file.path, tensor: name, columns: shape.columns, format: format, offset: shapeOffset)
    }
    guard let rowByteCount = format.byteCount(elements: shape.columns),
      Int.product(of: [rowByteCount, shape.rows]) != nil
    else { throw tooLarge }
    let dataOffset = try values.readUInt64()
    guard dataOffset % UInt64(alignment) == 0 else {
      throw .misaligned(
        path: file.path, tensor: name, dataOffset: dataOffset, alignment: alignment, offset: values.offset - 8)
    }
    return TensorInfo(
      name: name, shape: shape, format: format, rowByteCount: rowByteCount, dataOffset: dataOffset, headerOffset: start)
  }

  private func reference(to info: TensorInfo) throws(GGUFError) -> TensorRef {
    // The data may begin past the end, where a file was cut: then the difference is negative and nothing fits.
    guard let offset = Int(exactly: info.dataOffset), offset <= file.byteCount - dataOffset,
      info.byteCount <= file.byteCount - dataOffset - offset
    else {
      throw .outOfRange(
        path: file.path, tensor: info.name, dataOffset: info.dataOffset, byteCount: info.byteCount,
        fileByteCount: file.byteCount, offset: info.headerOffset)
    }
    return TensorRef(
      name: info.name, shape: info.shape, format: info.format,
      source: FileTensorSource(file: file, offset: dataOffset + offset, rowByteCount: info.rowByteCount))
  }

  /// Gaps are allowed, for padding; shared bytes are not.
  private func checkOverlaps(_ infos: [TensorInfo]) throws(GGUFError) {
    var end: UInt64 = 0
    var previous = ByteString("")
    for info in infos.sorted(by: { ($0.dataOffset, $0.byteCount) < ($1.dataOffset, $1.byteCount) }) {
      if info.dataOffset < end {
        throw .overlap(
          path: file.path, tensor: info.name, other: previous, offset: dataOffset + Int(info.dataOffset))
      }
      end = info.dataOffset + UInt64(info.byteCount)
      previous = info.name
    }
  }

  /// Types that ggml once had, so that an old file's error can name them.
  private static let withdrawnTypes: [UInt32: String] = [
    4: "Q4_2, withdrawn", 5: "Q4_3, withdrawn", 31: "Q4_0_4_4, withdrawn: use Q4_0",
    32: "Q4_0_4_8, withdrawn: use Q4_0",
    33: "Q4_0_8_8, withdrawn: use Q4_0", 36: "IQ4_NL_4_4, withdrawn: use IQ4_NL",
    37: "IQ4_NL_4_8, withdrawn: use IQ4_NL", 38: "IQ4_NL_8_8, withdrawn: use IQ4_NL",
  ]
}

/// One tensor's description, before it is known where the data begins.
private struct TensorInfo {
  let name: ByteString
  let shape: Shape
  let format: BlockFormat
  let rowByteCount: Int
  /// From the start of the data.
  let dataOffset: UInt64
  /// Of this description, from the start of the file.
  let headerOffset: Int

  var byteCount: Int { rowByteCount * shape.rows }
}
