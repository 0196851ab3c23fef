import Bytes
import IR
import Testing
import Tokenizers

@Suite struct TokenizerTests {
  private func expectFixtureIDs(_ tokenizer: Tokenizer) throws {
    for row in try #require(try Fixture.json("kjv.json").array) {
      let text = try #require(row["text"]?.string)
      let ids = try tokenizer.encode(text.bytes)
      #expect(ids.map(Int.init) == row["ids"]?.array?.compactMap(\.int), "\(text)")
      #expect(try tokenizer.decode(ids) == text.bytes)
    }
  }

  @Test func idsOfTheTokenizersPackage() throws {
    let model = try Fixture.kjv()
    #expect(model.algorithm == .byteLevelBPE && model.tokens.count == 4096 && model.bosID == 0 && model.eosID == 0)
    try expectFixtureIDs(Tokenizer(model))
  }

  @Test func throughGGUFAndBack() throws {
    let (metadata, warnings) = try GGUFTokenizer.metadata(for: Fixture.kjv(), vocabularyCount: 4100)
    #expect(warnings.isEmpty)
    #expect(metadata["tokenizer.ggml.pre"] == .string("gpt-2"))
    #expect(metadata["tokenizer.ggml.tokens"]?.array?.strings?[4099] == "[PAD4099]")
    var (model, _) = try #require(try GGUFTokenizer.read(metadata))
    #expect(model.tokens[4099].kind == .unused && model.tokens[0].kind == .control)
    try expectFixtureIDs(Tokenizer(model))
    #expect(try GGUFTokenizer.metadata(for: model, vocabularyCount: 4100).metadata == metadata)

    let files = try TokenizerJSON.files(for: model)
    #expect(files.droppedMergeCount == 0)
    model = try TokenizerJSON.read(tokenizer: files.tokenizer, configuration: files.configuration)
    #expect(model.tokens.count == 4096 && model.eosID == 0)
    try expectFixtureIDs(Tokenizer(model))
    #expect(try TokenizerJSON.files(for: model).tokenizer == files.tokenizer)
  }

  @Test func everyByteSequenceComesBack() throws {
    let tokenizer = try Tokenizer(Fixture.kjv())
    var random = Sequence64(state: 1)
    for length in [0, 1, 2, 3, 7, 48, 49, 50, 500, 5000] {
      for range: ClosedRange<UInt8> in [0...255, 0x80...0xFF, 0x20...0x7A] {
        let bytes = (0..<length).map { _ in UInt8.random(in: range, using: &random) }
        let ids = try tokenizer.encode(bytes, parsesSpecial: false)
        #expect(try tokenizer.decode(ids) == bytes)
        var stream = tokenizer.makeStreamingDecoder()
        var streamed: [UInt8] = []
        for id in ids { streamed += try stream.append(id) }
        #expect(streamed + stream.finish() == bytes)
      }
    }
  }

  @Test func streamingHoldsBackUnfinishedCharacters() throws {
    let tokenizer = try Tokenizer(Fixture.kjv())
    var stream = tokenizer.makeStreamingDecoder()
    for id in try tokenizer.encode("é漢😀 a\u{301}") {
      let text = try stream.append(id)
      #expect(String(validating: text, as: UTF8.self) != nil)
    }
    #expect(stream.finish().isEmpty)
  }

  @Test func specialTokens() throws {
    let tokenizer = try Tokenizer(Fixture.kjv())
    #expect(try tokenizer.encode("<|endoftext|>") == [0])
    let plain = try tokenizer.encode("<|endoftext|>", parsesSpecial: false)
    #expect(plain.count > 1)
    #expect(try tokenizer.decode([0] + plain, skipsSpecial: true) == Array("<|endoftext|>".utf8))
    #expect(throws: TokenizerError.unknownID(4096, vocabularyCount: 4096)) { try tokenizer.decode([4096]) }
  }

  /// A long word takes n log n: the short path's n² would need minutes here.
  @Test(.timeLimit(.minutes(1)), arguments: ["a", " ", "\n", "é", "the", "'s", "<|endoftex"])
  func longWords(_ unit: String) throws {
    let tokenizer = try Tokenizer(Fixture.kjv())
    let text = Array(String(repeating: unit, count: 1_000_000 / unit.utf8.count).utf8)
    #expect(try tokenizer.decode(tokenizer.encode(text)) == text)
  }

  /// Merges by the heap and by repeated search agree: a word of 49 bytes takes the one, of 48 the other.
  @Test func bothWaysOfMergingAgree() throws {
    let json = Fixture.tokenizerJSON(
      vocabulary: #"{"a":0,"b":1,"ab":2,"aa":3,"aba":4,"aaaa":5,"abab":6}"#,
      merges: #"["a b","a a","ab a","aa aa","ab ab"]"#,
      preTokenizer: #"{"type":"ByteLevel","use_regex":false,"add_prefix_space":false}"#)
    let tokenizer = try Tokenizer(TokenizerJSON.read(tokenizer: json))
    var random = Sequence64(state: 2)
    for _ in 0..<200 {
      // The part before the last "bb" merges alone, as no merge has b on its left.
      let head = (0..<Int.random(in: 2...40, using: &random)).map { _ in UInt8.random(in: 0x61...0x62, using: &random) }
      let tail = [UInt8](repeating: 0x62, count: 60)
      let short = try tokenizer.encode(head + [0x62])
      let long = try tokenizer.encode(head + tail)
      #expect(Array(long.prefix(short.count)) == short)
    }
  }
}
