import Bytes
import Conversion
import IR
import Safetensors
import SystemPackage

/// Token ids, and what goes with them, from a safetensors file of I32 or I64 tensors [batch, tokens].
struct TokenFile {
  let path: FilePath
  private let file: SafetensorsFile

  init(_ path: FilePath) throws {
    self.path = path
    do { file = try SafetensorsFile(path) } catch { throw ConversionError.safetensors(error) }
  }

  /// One list for each sequence; nil when the file has no such tensor.
  func sequences(_ name: ByteString) throws -> [[Int]]? {
    guard let tensor = file.tensors.first(where: { $0.name == name }) else { return nil }
    guard [.i32, .i64].contains(tensor.format), tensor.shape.dimensions.count == 2 else {
      throw ConversionError.unrecognized(
        path: path, detail: "\(name) is \(tensor.format.name) \(tensor.shape), not I32 or I64 [batch, tokens]")
    }
    let bytes = try tensor.readAll()
    let width = tensor.format.bytesPerBlock
    let values = stride(from: 0, to: bytes.count, by: width).map { at in
      var value: UInt64 = 0
      for byte in stride(from: width - 1, through: 0, by: -1) { value = value << 8 | UInt64(bytes[at + byte]) }
      return width == 8 ? Int(Int64(bitPattern: value)) : Int(Int32(truncatingIfNeeded: value))
    }
    let length = tensor.shape.columns
    guard length > 0, !values.isEmpty else { throw UsageError("\(path): \(name) is empty") }
    return stride(from: 0, to: values.count, by: length).map { Array(values[$0..<$0 + length]) }
  }

  func required(_ name: ByteString) throws -> [[Int]] {
    guard let sequences = try sequences(name) else {
      throw ConversionError.unrecognized(path: path, detail: "it has no tensor \(name)")
    }
    return sequences
  }

  /// A tensor that must have the shape of `like`, where it is there.
  func optional(_ name: ByteString, like: [[Int]]) throws -> [[Int]]? {
    guard let sequences = try sequences(name) else { return nil }
    guard sequences.map(\.count) == like.map(\.count) else {
      throw ConversionError.unrecognized(path: path, detail: "\(name) has another shape than input_ids")
    }
    return sequences
  }

  func check(_ sequences: [[Int]], _ name: ByteString, vocabularySize: Int) throws {
    if let wrong = sequences.joined().first(where: { !(0..<vocabularySize).contains($0) }) {
      throw ConversionError.unrecognized(
        path: path, detail: "\(name) holds \(wrong), which is no token of a vocabulary of \(vocabularySize)")
    }
  }
}
