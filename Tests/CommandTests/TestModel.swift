import Bytes
import ContainerTesting
import Glibc
import SystemPackage
import Testing

/// A copy of a small model, to be damaged.
struct TestModel {
  let scratch = Scratch()
  let path: FilePath

  /// One of Fixtures/conformance.
  init(_ name: String = "llama") throws {
    path = scratch.path.appending("model")
    _ = Scratch(under: scratch.path, name: "model")
    for file in ["config.json", "model.safetensors"] {
      try write(try InputFile.contents(of: fixtures.appending("conformance/\(name)/\(file)"), limit: 1 << 30), to: file)
    }
  }

  func read(_ file: String) throws -> [UInt8] { try InputFile.contents(of: path.appending(file), limit: 1 << 30) }

  func write(_ bytes: [UInt8], to file: String) throws {
    _ = try Scratch(under: scratch.path, name: "model").write(bytes, to: file)
  }

  func remove(_ file: String) { unsafe _ = unlink(path.appending(file).string) }

  /// Cuts a file to `share` of its length.
  func truncate(_ file: String, to share: Double) throws {
    let bytes = try read(file)
    try write(Array(bytes.prefix(Int(Double(bytes.count) * share))), to: file)
  }

  /// Replaces the first `old` in a text file.
  func edit(_ file: String, _ old: String, _ new: String) throws {
    let text = String(decoding: try read(file), as: UTF8.self)
    try write(Array(try replaced(text, old, new).utf8), to: file)
  }

  /// Replaces the first `old` in the header of model.safetensors.
  func editHeader(_ old: String, _ new: String) throws {
    let bytes = try read("model.safetensors")
    let length = (0..<8).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    let header = Array(try replaced(String(decoding: bytes[8..<8 + length], as: UTF8.self), old, new).utf8)
    let size = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    try write(size + header + bytes[(8 + length)...], to: "model.safetensors")
  }

  /// The header's text from a tensor's name up to its closing brace.
  func headerEntry(_ tensor: String) throws -> String {
    let bytes = try read("model.safetensors")
    let length = (0..<8).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    let header = String(decoding: bytes[8..<8 + length], as: UTF8.self)
    let start = try #require(header.firstRange(of: "\"\(tensor)\"")).lowerBound
    let end = try #require(header[start...].firstIndex(of: "}"))
    return String(header[start...end])
  }

  private func replaced(_ text: String, _ old: String, _ new: String) throws -> String {
    let range = try #require(text.firstRange(of: old), "'\(old)' is not there")
    return text.replacingCharacters(in: range, with: new)
  }
}

extension String {
  fileprivate func replacingCharacters(in range: Range<Index>, with new: String) -> String {
    String(self[..<range.lowerBound]) + new + self[range.upperBound...]
  }
}

let kjv = fixtures.appending("models/kjv-llama")
