import Bytes
import IR

/// The `.dat` that llama-imatrix wrote before GGUF, and still does on request; the diagram is in ImportanceFile.swift.
enum LegacyImportance {
  static func read(_ file: InputFile) throws -> Importance {
    var cursor = FileCursor(file)
    func count(atLeast byteCount: Int) throws -> Int {
      let offset = cursor.offset
      guard cursor.remaining >= 4 else { throw ImportanceError.truncated(path: file.path, offset: offset) }
      let value = Int(try cursor.readInteger(Int32.self))
      guard value >= 0, value <= cursor.remaining / max(1, byteCount) else {
        throw ImportanceError.truncated(path: file.path, offset: offset)
      }
      return value
    }
    func integer() throws -> Int {
      guard cursor.remaining >= 4 else { throw ImportanceError.truncated(path: file.path, offset: cursor.offset) }
      return Int(try cursor.readInteger(Int32.self))
    }

    let entryCount = try count(atLeast: 12)
    guard entryCount > 0 else { throw ImportanceError.notImportance(path: file.path) }
    var importance = Importance()
    for _ in 0..<entryCount {
      let name = ByteString(bytes: try cursor.readBytes(try count(atLeast: 1)))
      let calls = try integer()
      let valueCount = try count(atLeast: 4)
      var values: [Float] = []
      values.reserveCapacity(valueCount)
      for _ in 0..<valueCount { values.append(Float(bitPattern: try cursor.readInteger(UInt32.self))) }
      guard !values.isEmpty else {
        throw ImportanceError.invalidEntry(path: file.path, tensor: name, reason: "has no values")
      }
      importance[name] = try ImportanceFile.checked(
        .init(sums: values, counts: [Float(max(1, calls))]), name, file.path)
    }
    if cursor.remaining >= 4 { importance.chunkCount = max(0, try integer()) }
    if cursor.remaining >= 4 {
      importance.datasets = [ByteString(bytes: try cursor.readBytes(try count(atLeast: 1)))]
    }
    return importance
  }
}
