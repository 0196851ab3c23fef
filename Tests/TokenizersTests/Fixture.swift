import Bytes
import IR
import SystemPackage
import Testing
import Tokenizers

/// Files under Fixtures/tokenizers.
enum Fixture {
  static func bytes(_ name: String, sourceFile: String = #filePath) throws -> [UInt8] {
    let root = sourceFile.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    let path = "\(root)/Fixtures/tokenizers/\(name)"
    return try InputFile.contents(of: FilePath(path), limit: 1 << 24)
  }

  static func json(_ name: String) throws -> JSONValue { try JSONValue.parse(bytes(name)) }

  static func kjv() throws -> TokenizerModel {
    try TokenizerJSON.read(
      tokenizer: bytes("kjv/tokenizer.json"), configuration: bytes("kjv/tokenizer_config.json"))
  }

  /// A byte-level tokenizer with the pre-tokenizer and merges given, over the 256 bytes and what merging makes.
  static func tokenizerJSON(
    vocabulary: String = #"{"a":0,"b":1,"ab":2}"#, merges: String = #"["a b"]"#, added: String = "[]",
    preTokenizer: String = #"{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}"#, extra: String = ""
  ) -> [UInt8] {
    Array(
      #"{"added_tokens":\#(added),"normalizer":null,"pre_tokenizer":\#(preTokenizer),"model":{"type":"BPE","vocab":\#(vocabulary),"merges":\#(merges)\#(extra)}}"#
        .utf8)
  }
}

/// Numbers that are the same in every run.
struct Sequence64: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
