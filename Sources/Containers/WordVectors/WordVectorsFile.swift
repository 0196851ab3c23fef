//  word2vec, binary   "COUNT WIDTH\n", then per word: bytes, space, WIDTH F32, perhaps "\n"
//  word2vec, text     "COUNT WIDTH\n", then per line: word, WIDTH numbers
//  GloVe              the lines alone

public import Bytes
public import IR
public import SystemPackage

/// Word vectors of word2vec and GloVe: one matrix, `vectors`, and the words in its order.
///
/// Words are of any length, so the whole file is read once to find where each row begins.
public struct WordVectorsFile: Sendable {
  public let contents: ContainerContents

  /// Whether the file begins like word vectors: text with a word and numbers, after two whole numbers perhaps.
  public static func recognizes(_ head: [UInt8]) -> Bool { WordVectorsShape(head) != nil }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    let head: [UInt8]
    do throws(FileError) {
      file = try InputFile(path)
      head = try file.read(at: 0, count: min(1 << 16, file.byteCount))
    } catch { throw .file(error) }
    guard let shape = WordVectorsShape(head) else {
      throw .malformed(.init(path, "word vectors"), reason: "neither word2vec's first line nor a word with numbers")
    }
    var scanner = WordVectorsScanner(file, shape: shape, limits: limits)
    try scanner.scan()
    let rows = scanner.rows
    guard let matrix = Shape([rows.count, shape.width]) else {
      throw .malformed(.init(path, "word vectors"), reason: "impossible size")
    }
    let source: any TensorSource =
      shape.isBinary
      ? BinaryRows(file: file, rows: rows, rowByteCount: shape.width * 4)
      : DecodedSource(TextRows(file: file, rows: rows, ends: scanner.ends, columns: shape.width))
    let tensor = TensorRef(name: "vectors", shape: matrix, format: .f32, source: source)
    contents = ContainerContents(
      tensors: [tensor], fileByteCount: file.byteCount,
      notes: ["\(rows.count) words, of which a tensor shows only the place"])
  }
}

/// What the beginning says.
struct WordVectorsShape {
  /// Nil for GloVe.
  let count: Int?
  let width: Int
  let isBinary: Bool
  /// Of the first row.
  let start: Int

  init?(_ head: [UInt8]) {
    guard let lineEnd = head.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    let fields = Self.fields(head[..<lineEnd])
    if fields.count == 2, let count = Self.integer(fields[0]), let width = Self.integer(fields[1]), count > 0,
      (1...1 << 16).contains(width)
    {
      self.count = count
      self.width = width
      start = lineEnd + 1
      // A row of text holds exactly so many numbers; chance does not spell them.
      let rest = head[start...]
      let line = rest.prefix { $0 != UInt8(ascii: "\n") }
      let numbers = Self.fields(line).suffix(width)
      let isWhole = line.endIndex < head.endIndex || head.count < 4096
      let isText =
        numbers.count == width && numbers.allSatisfy { Self.number($0) != nil }
        || !isWhole && Self.fields(line).dropFirst().dropLast().allSatisfy { Self.number($0) != nil }
          && Self.fields(line).count > 3
      isBinary = !isText
      // A binary row needs a word that a space ends.
      if isBinary { guard rest.prefix(1 << 12).contains(UInt8(ascii: " ")) else { return nil } }
      return
    }
    let numbers = fields.dropFirst()
    // A word may hold spaces: then the numbers behind it tell the width.
    let trailing = numbers.reversed().prefix { Self.number($0) != nil }.count
    guard trailing >= 8 else { return nil }
    count = nil
    width = trailing
    isBinary = false
    start = 0
  }

  static func fields(_ line: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
  }

  private static func integer(_ digits: ArraySlice<UInt8>) -> Int? {
    digits.count <= 18 && digits.allSatisfy { (0x30...0x39).contains($0) }
      ? Int(String(decoding: digits, as: UTF8.self)) : nil
  }

  static func number(_ text: ArraySlice<UInt8>) -> Float? {
    guard text.count <= 40, text.allSatisfy({ $0 < 0x80 }) else { return nil }
    return Float(String(decoding: text, as: UTF8.self))
  }
}

/// Finds where the numbers of each row begin and, in text, end.
struct WordVectorsScanner {
  private let file: InputFile
  private let shape: WordVectorsShape
  private let limits: Limits
  private(set) var rows: [Int] = []
  private(set) var ends: [Int] = []

  init(_ file: InputFile, shape: WordVectorsShape, limits: Limits) {
    self.file = file
    self.shape = shape
    self.limits = limits
  }

  private func fault(_ reason: String, at offset: Int) -> ContainerError {
    .malformed(.init(file.path, "word vectors", name: ByteString("row \(rows.count)"), offset: offset), reason: reason)
  }

  mutating func scan() throws(ContainerError) {
    do throws(FileError) {
      if shape.isBinary { try scanBinary() } else { try scanText() }
    } catch { throw .file(error) }
    if let problem { throw problem }
    if let count = shape.count, rows.count != count {
      throw fault("\(rows.count) rows where the first line says \(count)", at: file.byteCount)
    }
  }

  private var problem: ContainerError?

  private mutating func scanBinary() throws(FileError) {
    let count = shape.count ?? 0
    let rowBytes = shape.width * 4
    guard count <= (file.byteCount - shape.start) / (rowBytes + 1), count <= limits.arrayElementCount * 4 else {
      problem = fault("the file cannot hold \(count) rows of \(rowBytes) bytes", at: 0)
      return
    }
    var cursor = FileCursor(file, offset: shape.start)
    rows.reserveCapacity(count)
    for _ in 0..<count {
      let start = cursor.offset
      while cursor.remaining > 0, try cursor.readBits(byteCount: 1) != UInt64(UInt8(ascii: " ")) {
        guard cursor.offset - start <= limits.nameByteCount else {
          problem = fault("a word of more than \(limits.nameByteCount) bytes", at: start)
          return
        }
      }
      guard rowBytes <= cursor.remaining else {
        problem = fault("the file ends within a row; fetch the file again", at: start)
        return
      }
      rows.append(cursor.offset)
      try cursor.skip(rowBytes)
    }
    // The original tool ends rows with a line end, others do not.
    guard cursor.remaining <= 1 else {
      problem = fault("\(cursor.remaining) bytes follow the last row", at: cursor.offset)
      return
    }
  }

  private mutating func scanText() throws(FileError) {
    var offset = shape.start
    var line: [UInt8] = []
    var lineStart = offset
    while offset < file.byteCount {
      let chunk = try file.read(at: offset, count: min(1 << 18, file.byteCount - offset))
      var from = chunk.startIndex
      while let end = chunk[from...].firstIndex(of: UInt8(ascii: "\n")) {
        line += chunk[from..<end]
        add(line, at: lineStart)
        if problem != nil { return }
        line = []
        from = end + 1
        lineStart = offset + from
      }
      line += chunk[from...]
      guard line.count <= 1 << 22 else {
        problem = fault("a line of more than \(1 << 22) bytes", at: lineStart)
        return
      }
      offset += chunk.count
    }
    if !line.isEmpty { add(line, at: lineStart) }
  }

  /// The last `width` fields are numbers; what precedes them is the word, which may hold spaces.
  private mutating func add(_ line: [UInt8], at offset: Int) {
    var end = line.count
    while end > 0, Self.isSpace(line[end - 1]) { end -= 1 }
    guard end > 0 else { return }
    var start = end
    for _ in 0..<shape.width {
      while start > 0, Self.isSpace(line[start - 1]) { start -= 1 }
      let fieldEnd = start
      while start > 0, !Self.isSpace(line[start - 1]) { start -= 1 }
      guard start < fieldEnd else {
        problem = fault("fewer than \(shape.width) numbers", at: offset)
        return
      }
    }
    guard rows.count < limits.arrayElementCount * 4 else {
      problem = .limitExceeded(.init(file.path, "word vectors", offset: offset), item: "rows", limit: rows.count)
      return
    }
    rows.append(offset + start)
    ends.append(offset + end)
  }

  private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
}

/// Rows of F32 that begin anywhere.
struct BinaryRows: TensorSource {
  let file: InputFile
  let rows: [Int]
  let rowByteCount: Int

  func read(rows wanted: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    for row in wanted {
      let read = try file.read(at: rows[row], count: rowByteCount)
      bytes.copy(from: read.rawSpan, at: (row - wanted.lowerBound) * rowByteCount)
    }
  }
}

/// Rows of decimal numbers.
struct TextRows: RowDecoder {
  let file: InputFile
  let rows: [Int]
  let ends: [Int]
  let columns: Int

  func decode(rows wanted: Range<Int>, into values: inout [Float]) throws(FileError) {
    for row in wanted {
      let text = try file.read(at: rows[row], count: ends[row] - rows[row])
      let fields = WordVectorsShape.fields(text[...])
      for (column, field) in fields.enumerated() where column < columns {
        guard let value = WordVectorsShape.number(field) else {
          throw .damaged(path: file.path, reason: "row \(row) has a field that is no number", offset: rows[row])
        }
        values[(row - wanted.lowerBound) * columns + column] = value
      }
    }
  }
}
