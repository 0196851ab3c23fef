//  magic 0x2F4F16BA, version 11 or 12 (neither in files of before, which also lack `pruned` and `quantized`)
//  arguments: i32 dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate, f64 t
//  dictionary: i32 size, words, labels, i64 tokens, i64 pruned; entries: text NUL, i64 count, u8 kind; pruned: i32 pairs
//  u8 quantized, input matrix; u8 quantized, output matrix
//  matrix: i64 rows, i64 columns, F32 …
//  quantized: u8 norms too, i64 rows, columns, i32 codes, codes: u8 …, quantizer [, norms: u8 rows, quantizer]
//  quantizer: i32 dim, parts, part's width, last part's width; centroids: F32 [dim · 256]
//
//  fasttext's args.cc, dictionary.cc, densematrix.cc, quantmatrix.cc, productquantizer.cc.

public import Bytes
public import IR
public import SystemPackage

/// A fastText model: its input matrix (words, then buckets of n-grams) and output matrix, product-quantized or not.
/// Files of before version 11 begin with the arguments.
public struct FastTextFile: Sendable {
  public let contents: ContainerContents

  static func isMarked(_ head: [UInt8]) -> Bool { head.starts(with: [0xBA, 0x16, 0x4F, 0x2F]) }

  public static func recognizes(_ head: [UInt8]) -> Bool { isMarked(head) || looksUnmarked(head) }

  /// Whether a file without a mark begins with arguments and a dictionary's numbers as fastText saves them: each in the
  /// range that its parser lets through, and words and labels that make up all entries.
  private static func looksUnmarked(_ head: [UInt8]) -> Bool {
    guard head.count >= 76 else { return false }
    let numbers = (0..<12).map { Int(head.integer(at: $0 * 4, as: Int32.self)) }
    let counts = [56, 60, 64].map { Int(head.integer(at: $0, as: Int32.self)) }
    let threshold = Double(bitPattern: head.integer(at: 48, as: UInt64.self))
    return (1...1 << 16).contains(numbers[0]) && numbers[1...5].allSatisfy { (0...1 << 20).contains($0) }
      && (1...3).contains(numbers[6]) && (1...3).contains(numbers[7]) && numbers[8...11].allSatisfy { $0 >= 0 }
      && numbers[9] <= numbers[10] && threshold >= 0 && threshold <= 1 && counts[0] > 0
      && counts[1] >= 0 && counts[2] >= 0 && counts[1] + counts[2] == counts[0]
      && head.integer(at: 68, as: Int64.self) >= 0
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    var parser = FastTextParser(file, limits: limits)
    do throws(FileError) { try parser.parse() } catch { throw .file(error) }
    if let fault = parser.fault { throw fault }
    contents = ContainerContents(
      tensors: parser.tensors, metadata: parser.metadata, fileByteCount: file.byteCount,
      notes: ["\(parser.entryCount) words and labels, of which a tensor shows only the place"])
  }
}

struct FastTextParser {
  private let file: InputFile
  private let limits: Limits
  private var cursor: FileCursor
  private(set) var fault: ContainerError?
  private(set) var tensors: [TensorRef] = []
  private(set) var metadata = Metadata()
  private(set) var entryCount = 0

  init(_ file: InputFile, limits: Limits) {
    self.file = file
    self.limits = limits
    cursor = FileCursor(file)
  }

  private mutating func stop(_ reason: String) {
    fault = fault ?? .malformed(.init(file.path, "fastText", offset: cursor.offset), reason: reason)
  }

  private static let argumentNames = [
    "dim", "ws", "epoch", "minCount", "neg", "wordNgrams", "loss", "model", "bucket", "minn", "maxn", "lrUpdateRate",
  ]

  mutating func parse() throws(FileError) {
    let isMarked = FastTextFile.isMarked(try file.read(at: 0, count: min(4, file.byteCount)))
    if isMarked {
      try cursor.skip(4)
      let version = try cursor.readInteger(Int32.self)
      guard version == 11 || version == 12 else { return stop("version \(version)") }
      metadata["fasttext.version"] = .int32(version)
    }
    for name in Self.argumentNames {
      metadata[ByteString("fasttext." + name)] = .int32(try cursor.readInteger(Int32.self))
    }
    metadata["fasttext.t"] = .float64(Double(bitPattern: try cursor.readInteger(UInt64.self)))
    try parseDictionary(hasPruned: isMarked)
    if fault != nil { return }
    let inputIsQuantized = isMarked ? try cursor.readInteger(UInt8.self) == 1 : false
    try parseMatrix("input", isQuantized: inputIsQuantized)
    if fault != nil { return }
    let outputIsQuantized = isMarked ? try cursor.readInteger(UInt8.self) == 1 : false
    try parseMatrix("output", isQuantized: outputIsQuantized && inputIsQuantized)
    if fault == nil, cursor.remaining > 0 { stop("\(cursor.remaining) bytes follow the last matrix") }
  }

  private mutating func parseDictionary(hasPruned: Bool) throws(FileError) {
    let size = Int(try cursor.readInteger(Int32.self))
    let words = Int(try cursor.readInteger(Int32.self))
    let labels = Int(try cursor.readInteger(Int32.self))
    _ = try cursor.readInteger(Int64.self)
    let pruned = hasPruned ? Int(try cursor.readInteger(Int64.self)) : -1
    // An entry takes ten bytes at the least.
    guard size >= 0, words >= 0, labels >= 0, words <= size, labels <= size, size <= cursor.remaining / 10 else {
      return stop("a dictionary of \(size) entries")
    }
    entryCount = size
    for _ in 0..<size {
      var length = 0
      while try cursor.readBits(byteCount: 1) != 0 {
        length += 1
        guard length <= limits.nameByteCount else { return stop("a word of more than \(length) bytes") }
      }
      try cursor.skip(9)
    }
    guard pruned >= -1, pruned <= cursor.remaining / 8 else { return stop("\(pruned) pruned entries") }
    try cursor.skip(max(0, pruned) * 8)
  }

  private mutating func parseMatrix(_ name: ByteString, isQuantized: Bool) throws(FileError) {
    let hasNorms = isQuantized ? try cursor.readInteger(UInt8.self) == 1 : false
    let rows = Int(try cursor.readInteger(Int64.self))
    let columns = Int(try cursor.readInteger(Int64.self))
    guard rows >= 0, columns > 0, columns <= 1 << 20, let shape = Shape([rows, columns]),
      let byteCount = BlockFormat.f32.byteCount(elements: shape.elementCount)
    else { return stop("a matrix of \(rows) × \(columns)") }
    guard isQuantized else {
      let offset = cursor.offset
      guard byteCount <= cursor.remaining else { return stop("a matrix of \(shape) reaches past the end of the file") }
      tensors.append(
        TensorRef(
          name: name, shape: shape, format: .f32,
          source: FileTensorSource(file: file, offset: offset, rowByteCount: columns * 4)))
      return try cursor.skip(byteCount)
    }
    let codeCount = Int(try cursor.readInteger(Int32.self))
    guard codeCount >= 0, codeCount <= cursor.remaining else { return stop("\(codeCount) codes") }
    let codes = cursor.offset
    try cursor.skip(codeCount)
    guard let quantizer = try parseQuantizer(), quantizer.dimension == columns,
      rows.multipliedReportingOverflow(by: quantizer.partCount) == (codeCount, false)
    else { return stop("a quantizer that does not fit \(shape)") }
    var norms: Int?
    var normQuantizer: ProductQuantizer?
    if hasNorms {
      guard rows <= cursor.remaining else { return stop("norms reach past the end of the file") }
      norms = cursor.offset
      try cursor.skip(rows)
      normQuantizer = try parseQuantizer()
      guard normQuantizer?.dimension == 1 else { return stop("a quantizer of norms of another width") }
    }
    let decoder = ProductQuantizedRows(
      file: file, codes: codes, quantizer: quantizer, norms: norms, normCentroids: normQuantizer?.centroids ?? [])
    tensors.append(TensorRef(name: name, shape: shape, format: .f32, source: DecodedSource(decoder)))
  }

  private mutating func parseQuantizer() throws(FileError) -> ProductQuantizer? {
    let dimension = Int(try cursor.readInteger(Int32.self))
    let parts = Int(try cursor.readInteger(Int32.self))
    let width = Int(try cursor.readInteger(Int32.self))
    let lastWidth = Int(try cursor.readInteger(Int32.self))
    guard dimension > 0, dimension <= 1 << 20, parts > 0, parts <= dimension, width > 0, lastWidth > 0,
      lastWidth <= width, (parts - 1).multipliedReportingOverflow(by: width).partialValue + lastWidth == dimension,
      width <= dimension, dimension * 1024 <= cursor.remaining
    else { return nil }
    let bytes = try cursor.readBytes(dimension * 1024)
    return ProductQuantizer(
      dimension: dimension, partCount: parts, width: width, lastWidth: lastWidth,
      centroids: BlockFormat.f32.floats(bytes))
  }
}

/// 256 centroids for each part of a vector.
struct ProductQuantizer: Sendable {
  let dimension: Int
  let partCount: Int
  let width: Int
  let lastWidth: Int
  /// Part after part: [256, width], the last [256, lastWidth].
  let centroids: [Float]
}

/// A row is one centroid per part, times its norm.
struct ProductQuantizedRows: RowDecoder {
  let file: InputFile
  let codes: Int
  let quantizer: ProductQuantizer
  let norms: Int?
  let normCentroids: [Float]

  var columns: Int { quantizer.dimension }

  func decode(rows: Range<Int>, into values: inout [Float]) throws(FileError) {
    let parts = quantizer.partCount
    let stored = try file.read(at: codes + rows.lowerBound * parts, count: rows.count * parts)
    let normCodes = try norms.map { at throws(FileError) in
      try file.read(at: at + rows.lowerBound, count: rows.count)
    }
    for row in 0..<rows.count {
      let norm = normCodes.map { normCentroids[Int($0[row])] } ?? 1
      for part in 0..<parts {
        let width = part == parts - 1 ? quantizer.lastWidth : quantizer.width
        let start = part * 256 * quantizer.width + Int(stored[row * parts + part]) * width
        for index in 0..<width {
          values[row * columns + part * quantizer.width + index] = norm * quantizer.centroids[start + index]
        }
      }
    }
  }
}
