//  version: u32 │ name of the specification, revision: u32 │ count: u32
//  variable: name │ axes: u8, dimensions: u32 each │ type: u8, byte count: u32 │ elements
//  count: u32 │ alias: name, variable's name
//  name: length with its zero: u16, bytes, zero. Versions before 4 store an element's width instead of the type.
//
//  ctranslate2/specs/model_spec.py.

public import Bytes
public import IR
public import SystemPackage

/// A CTranslate2 model.bin. Int8 and int16 weights are shown decoded: their `…_scale` is what they were multiplied by.
public struct CTranslate2File: Sendable {
  public let contents: ContainerContents

  /// There is no mark: a small version, then a short text ending in zero, must do.
  public static func recognizes(_ head: [UInt8]) -> Bool {
    guard head.count >= 16, (2...16).contains(head.integer(at: 0, as: UInt32.self)) else { return false }
    let length = Int(head.integer(at: 4, as: UInt16.self))
    guard length >= 4, length <= 64, 6 + length <= head.count, head[5 + length] == 0 else { return false }
    return head[6..<5 + length].allSatisfy { byte in
      (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x5F
    }
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    var parser = CTranslate2Parser(file, limits: limits)
    do throws(FileError) { try parser.parse() } catch { throw .file(error) }
    if let fault = parser.fault { throw fault }
    contents = ContainerContents(
      tensors: parser.decoded(), metadata: parser.metadata, fileByteCount: file.byteCount, notes: parser.notes)
  }
}

struct CTranslate2Parser {
  private let file: InputFile
  private let limits: Limits
  private var cursor: FileCursor
  private(set) var fault: ContainerError?
  private var tensors: [TensorRef] = []
  private(set) var metadata = Metadata()
  private(set) var notes: [String] = []

  init(_ file: InputFile, limits: Limits) {
    self.file = file
    self.limits = limits
    cursor = FileCursor(file)
  }

  private mutating func stop(_ reason: String, _ name: ByteString = "") {
    fault = fault ?? .malformed(.init(file.path, "CTranslate2", name: name, offset: cursor.offset), reason: reason)
  }

  private mutating func text() throws(FileError) -> ByteString {
    let length = Int(try cursor.readInteger(UInt16.self))
    guard length > 0 else {
      stop("a name without its zero")
      return ""
    }
    let bytes = try cursor.readBytes(length)
    if bytes.last != 0 { stop("a name without its zero") }
    return ByteString(bytes: Array(bytes.dropLast()))
  }

  private static let types: [BlockFormat] = [.f32, .i8, .i16, .i32, .f16, .bf16]

  mutating func parse() throws(FileError) {
    let version = try cursor.readInteger(UInt32.self)
    metadata["ctranslate2.version"] = .uint32(version)
    metadata["ctranslate2.specification"] = .string(try text())
    metadata["ctranslate2.revision"] = .uint32(try cursor.readInteger(UInt32.self))
    let count = Int(try cursor.readInteger(UInt32.self))
    guard count <= limits.tensorCount, count <= cursor.remaining / 10 else { return stop("\(count) variables") }
    var seen: Set<ByteString> = []
    for _ in 0..<count {
      let name = try text()
      let axes = Int(try cursor.readInteger(UInt8.self))
      guard axes <= limits.dimensionCount else { return stop("\(axes) axes", name) }
      var dimensions: [Int] = []
      for _ in 0..<axes { dimensions.append(Int(try cursor.readInteger(UInt32.self))) }
      let type = Int(try cursor.readInteger(UInt8.self))
      var byteCount = Int(try cursor.readInteger(UInt32.self))
      let format: BlockFormat?
      if version >= 4 {
        format = Self.types.indices.contains(type) ? Self.types[type] : nil
      } else {
        format = [1: BlockFormat.i8, 2: .i16, 4: .f32][type]
        let (bytes, overflow) = byteCount.multipliedReportingOverflow(by: type)
        byteCount = overflow ? -1 : bytes
      }
      guard fault == nil, let format, let shape = Shape(dimensions), !name.isEmpty, seen.insert(name).inserted else {
        return stop("a variable without type \(type), shape \(dimensions) or name", name)
      }
      guard format.byteCount(elements: shape.elementCount) == byteCount else {
        return stop("\(shape) of \(format.name) in \(byteCount) bytes", name)
      }
      guard byteCount <= cursor.remaining else { return stop("\(shape) reaches past the end of the file", name) }
      tensors.append(
        TensorRef(
          name: name, shape: shape, format: format,
          source: FileTensorSource(
            file: file, offset: cursor.offset, rowByteCount: shape.columns * format.bytesPerBlock)))
      try cursor.skip(byteCount)
    }
    guard cursor.remaining >= 4 else { return }
    let aliases = Int(try cursor.readInteger(UInt32.self))
    guard aliases <= cursor.remaining / 4 else { return stop("\(aliases) aliases") }
    for _ in 0..<aliases {
      let alias = try text()
      notes.append("\(alias): another name of \(try text())")
      if notes.count > 64 || fault != nil { break }
    }
  }

  /// Weights of int8 and int16 divided by their scales, one per row or one for all.
  mutating func decoded() -> [TensorRef] {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var used: Set<ByteString> = []
    var count = 0
    let result = tensors.map { tensor -> TensorRef in
      let scaleName = ByteString(bytes: tensor.name.bytes + Array("_scale".utf8))
      guard tensor.format == .i8 || tensor.format == .i16, let scale = byName[scaleName], scale.format == .f32,
        scale.shape.elementCount == 1 || scale.shape.elementCount == tensor.shape.rows
      else { return tensor }
      used.insert(scaleName)
      count += 1
      var result = tensor
      result.format = .f32
      result.source = DecodedSource(DividedRows(values: tensor, scales: scale))
      return result
    }
    if count > 0 { notes.append("\(count) int8 or int16 weights decoded") }
    return result.filter { !used.contains($0.name) }
  }
}

/// q ÷ scale.
struct DividedRows: RowDecoder {
  let values: TensorRef
  let scales: TensorRef

  var columns: Int { values.shape.columns }

  func decode(rows: Range<Int>, into result: inout [Float]) throws(FileError) {
    result = try values.floats(rows: rows)
    let scale = try scales.floats()
    for row in rows {
      let divisor = scale.count == 1 ? scale[0] : scale[row]
      let start = (row - rows.lowerBound) * columns
      for index in start..<start + columns { result[index] /= divisor }
    }
  }
}
