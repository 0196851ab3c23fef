/// What a file is that no container recognises, and what to do about it.
enum ForeignFile {
  /// Beginnings of what is found in place of weights: failed downloads, archives, pointers.
  private static let kinds: [(start: [UInt8], advice: String)] = [
    (Array("version https://git-lfs".utf8), "a Git LFS pointer in place of the file; fetch the file (git lfs pull)"),
    (Array("<!DOCTYPE".utf8), "a web page; the download went wrong, fetch the file again"),
    (Array("<!doctype".utf8), "a web page; the download went wrong, fetch the file again"),
    (Array("<html".utf8), "a web page; the download went wrong, fetch the file again"),
    ([0x1F, 0x8B], "compressed by gzip; expand it first (gunzip)"),
    ([0xFD] + Array("7zXZ".utf8), "compressed by xz; expand it first (unxz)"),
    (Array("BZh".utf8), "compressed by bzip2; expand it first (bunzip2)"),
    ([0x37, 0x7A, 0xBC, 0xAF], "a 7z archive; unpack it first"),
    ([0x7F] + Array("ELF".utf8), "a program or library, not weights"),
  ]

  static func description(of head: [UInt8]) -> String {
    if let kind = kinds.first(where: { head.starts(with: $0.start) }) { return kind.advice }
    return "neither GGUF nor safetensors nor any other container that is read, nor a config.json; it starts with "
      + shown(head)
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
