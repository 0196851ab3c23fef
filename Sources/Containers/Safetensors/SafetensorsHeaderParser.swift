import Bytes
import IR
import SystemPackage

/// Reads the JSON header member by member, so that every error knows its offset and a large header makes no tree.
struct SafetensorsHeaderParser: ~Escapable {
  private var json: JSONReader
  private let headerByteCount: Int
  private let isText: Bool
  private let file: InputFile
  private let limits: Limits
  private(set) var metadata = Metadata()
  private(set) var tensors: [TensorRef] = []
  private(set) var extents: [SafetensorsExtent] = []

  @_lifetime(copy header)
  init(_ header: Span<UInt8>, file: InputFile, limits: Limits) {
    json = JSONReader(header, depthLimit: limits.nestingDepth)
    headerByteCount = header.count
    isText = (try? UTF8Span(validating: header)) != nil
    self.file = file
    self.limits = limits
  }

  /// Of the next token, from the start of the file.
  private var offset: Int { 8 + json.offset }

  @_lifetime(self: copy self)
  mutating func parse() throws(SafetensorsError) {
    guard isText else { throw .invalidHeader(path: file.path, reason: "not UTF-8", offset: 8) }
    var seen: Set<ByteString> = []
    try beginObject()
    while let (name, keyOffset) = try nextKey() {
      guard name.count <= limits.nameByteCount else {
        throw .limitExceeded(path: file.path, what: "bytes of a name", limit: limits.nameByteCount, offset: keyOffset)
      }
      guard seen.insert(name).inserted else { throw .duplicateKey(path: file.path, key: name, offset: keyOffset) }
      if name == "__metadata__" {
        try parseMetadata()
      } else {
        guard tensors.count < limits.tensorCount else {
          throw .limitExceeded(path: file.path, what: "tensors", limit: limits.tensorCount, offset: keyOffset)
        }
        try parseTensor(name, at: keyOffset)
      }
    }
    do throws(JSONError) { try json.finish() } catch { throw invalid(error) }
  }

  @_lifetime(self: copy self)
  private mutating func parseMetadata() throws(SafetensorsError) {
    // MLX writes it where it has none.
    if json.takeNull() { return }
    try beginObject()
    while let (key, keyOffset) = try nextKey() {
      guard metadata[key] == nil else { throw .duplicateKey(path: file.path, key: key, offset: keyOffset) }
      let valueOffset = offset
      guard case .string(let value) = try value() else {
        throw .invalidMetadata(path: file.path, key: key, offset: valueOffset)
      }
      metadata[key] = .string(value)
    }
  }

  @_lifetime(self: copy self)
  private mutating func parseTensor(_ name: ByteString, at keyOffset: Int) throws(SafetensorsError) {
    var type: BlockFormat?
    var dimensions: [Int]?
    var range: [Int]?
    try beginObject()
    while let (field, fieldOffset) = try nextKey() {
      let isRepeated: Bool
      switch field {
      case "dtype":
        isRepeated = type != nil
        type = try parseType(of: name)
      case "shape":
        isRepeated = dimensions != nil
        dimensions = try parseIntegers("shape", of: name, limit: limits.dimensionCount)
      case "data_offsets":
        isRepeated = range != nil
        range = try parseIntegers("data_offsets", of: name, limit: 2)
      default: throw invalid(field.text, of: name, "no such field", at: fieldOffset)
      }
      if isRepeated { throw invalid(field.text, of: name, "stands twice", at: fieldOffset) }
    }
    guard let type else { throw invalid("dtype", of: name, "missing", at: keyOffset) }
    guard let dimensions else { throw invalid("shape", of: name, "missing", at: keyOffset) }
    guard let range else { throw invalid("data_offsets", of: name, "missing", at: keyOffset) }
    guard range.count == 2 else { throw invalid("data_offsets", of: name, "not two numbers", at: keyOffset) }
    guard let shape = Shape(dimensions), let byteCount = type.byteCount(elements: shape.elementCount) else {
      throw .shapeTooLarge(path: file.path, tensor: name, dimensions: dimensions, offset: keyOffset)
    }
    let dataOffset = 8 + headerByteCount
    guard range[0] <= range[1], range[1] <= file.byteCount - dataOffset else {
      throw .outOfRange(
        path: file.path, tensor: name, range: range, dataByteCount: file.byteCount - dataOffset, offset: keyOffset)
    }
    let begin = dataOffset + range[0]
    guard range[1] - range[0] == byteCount else {
      throw .sizeMismatch(
        path: file.path, tensor: name, needed: byteCount, described: range[1] - range[0], offset: begin)
    }
    let rowByteCount = type.bytesPerBlock * shape.columns
    tensors.append(
      TensorRef(
        name: name, shape: shape, format: type,
        source: FileTensorSource(file: file, offset: begin, rowByteCount: rowByteCount)))
    extents.append(SafetensorsExtent(name: name, offset: begin, byteCount: byteCount))
  }

  @_lifetime(self: copy self)
  private mutating func parseType(of name: ByteString) throws(SafetensorsError) -> BlockFormat {
    let start = offset
    guard case .string(let text) = try value() else { throw invalid("dtype", of: name, "not a string", at: start) }
    guard let type = BlockFormat.safetensors(text.text) else {
      throw .unknownType(path: file.path, tensor: name, type: text.text, offset: start)
    }
    return type
  }

  /// An array of up to `limit` integers, none negative.
  @_lifetime(self: copy self)
  private mutating func parseIntegers(
    _ field: String, of name: ByteString, limit: Int
  ) throws(SafetensorsError) -> [Int] {
    let start = offset
    var result: [Int] = []
    do throws(JSONError) {
      try json.beginArray()
      while try json.nextElement() {
        let elementOffset = offset
        guard let number = try json.readNumber().int, number >= 0 else {
          throw .invalidNumber(offset: elementOffset - 8)
        }
        result.append(number)
        if result.count > limit { break }
      }
    } catch {
      switch error {
      case .unexpected(let found, let expected, let position):
        throw invalid(field, of: name, "\(found) where \(expected) should be", at: 8 + position)
      case .invalidNumber(let position): throw invalid(field, of: name, "not a whole number in range", at: 8 + position)
      default: throw invalid(error)
      }
    }
    if result.count > limit {
      throw .limitExceeded(path: file.path, what: "numbers in \(field) of \(name)", limit: limit, offset: start)
    }
    return result
  }

  // The reader's own steps, with its errors made ours.

  @_lifetime(self: copy self)
  private mutating func beginObject() throws(SafetensorsError) {
    do throws(JSONError) { try json.beginObject() } catch { throw invalid(error) }
  }

  @_lifetime(self: copy self)
  private mutating func nextKey() throws(SafetensorsError) -> (key: ByteString, offset: Int)? {
    do throws(JSONError) { return try json.nextKey().map { ($0.key, 8 + $0.offset) } } catch { throw invalid(error) }
  }

  @_lifetime(self: copy self)
  private mutating func value() throws(SafetensorsError) -> JSONValue {
    do throws(JSONError) { return try json.readValue() } catch { throw invalid(error) }
  }

  private func invalid(_ error: JSONError) -> SafetensorsError {
    .invalidHeader(path: file.path, reason: error.reason, offset: 8 + error.offset)
  }

  private func invalid(_ field: String, of name: ByteString, _ reason: String, at offset: Int) -> SafetensorsError {
    .invalidField(path: file.path, tensor: name, field: field, reason: reason, offset: offset)
  }
}
