import Bytes
import SystemPackage

/// What a file is that no container recognises, and what to do about it.
enum ForeignFile {
  /// Beginnings of what is found in place of weights: failed downloads, archives, pointers.
  private static let kinds: [(start: [UInt8], advice: String)] = [
    (Array("version https://git-lfs".utf8), "a Git LFS pointer in place of the file; fetch the file (git lfs pull)"),
    ([0x1F, 0x8B], "compressed by gzip; expand it first (gunzip)"),
    ([0xFD] + Array("7zXZ".utf8), "compressed by xz; expand it first (unxz)"),
    (Array("BZh".utf8), "compressed by bzip2; expand it first (bunzip2)"),
    ([0x37, 0x7A, 0xBC, 0xAF], "a 7z archive; unpack it first"),
    ([0x7F] + Array("ELF".utf8), "a program or library, not weights"),
    (Array("Entry not found".utf8), "a server's answer in place of the file; check its name and fetch it again"),
    (Array("Access to model".utf8), "a server's answer in place of the file; fetch it with the token it asks for"),
  ]

  static func description(of head: [UInt8], at path: FilePath) -> String {
    if let kind = kinds.first(where: { head.starts(with: $0.start) }) { return kind.advice }
    let text = String(
      decoding: head.prefix(256).drop { [0x20, 0x09, 0x0A, 0x0D].contains($0) }.prefix(16), as: UTF8.self)
    if ["<!doctype", "<html", "<?xml"].contains(where: { text.lowercased().hasPrefix($0) }) {
      return "a web page; the download went wrong, fetch the file again"
    }
    // A version, then who made it or the graph: whole models are recognised before.
    if head.count > 8, head[0] == 0x08, (3...20).contains(head[1]), head[2] == 0x12 || head[2] == 0x3A {
      return "perhaps an ONNX model that is cut off, since its fields reach past its end; fetch the file again"
    }
    if head.count > 8, Array(head[4..<8]) == Array("TFL3".utf8) {
      return "a TensorFlow Lite model, which is not read; the model that it was made from may be"
    }
    if path.lastComponent?.string.contains(/\.data-\d{5}-of-\d{5}$/) == true {
      return "the values of a TensorFlow checkpoint; name its .index file"
    }
    return "neither GGUF nor safetensors nor any other container that is read, nor a config.json; it starts with "
      + shown(head)
  }

  static func description(ofServersError message: ByteString) -> String {
    "a server's answer in place of the file (\(message.text.prefix(80))); fetch the file again"
  }

  private static func shown(_ head: [UInt8]) -> String {
    if head.isEmpty { return "nothing: it is empty" }
    let start = head.prefix(16)
    if start.allSatisfy({ (0x20..<0x7F).contains($0) || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) {
      return "the text \"\(String(decoding: start.prefix { $0 >= 0x20 }, as: UTF8.self))\""
    }
    return head.prefix(8).map { "0x" + String($0, radix: 16) }.joined(separator: " ")
  }
}
