import Bytes
import IR
import Testing
import Tokenizers

@Suite struct TokenizerErrorTests {
  @Test(arguments: [
    (Fixture.tokenizerJSON(vocabulary: #"{"a":0,"b":0}"#), TokenizerError.duplicateID(path: "model.vocab.b", id: 0)),
    (Fixture.tokenizerJSON(vocabulary: #"{"a":-1}"#), .wrongType(path: "model.vocab.a", expected: "a token id")),
    (Fixture.tokenizerJSON(vocabulary: #"{"a":0,"b":9999999}"#), .hole(id: 2, vocabularyCount: 10_000_000)),
    (Fixture.tokenizerJSON(vocabulary: "[]"), .wrongType(path: "model.vocab", expected: "an object")),
    (
      Fixture.tokenizerJSON(merges: #"["a c"]"#),
      .invalid(path: "model.merges[0]", "\"a\" \"c\" names a token that is not in the vocabulary")
    ),
    (Fixture.tokenizerJSON(merges: #"["b a"]"#), .invalid(path: "model.merges[0]", "\"ba\" is not in the vocabulary")),
    (Fixture.tokenizerJSON(merges: #"["ab"]"#), .wrongType(path: "model.merges[0]", expected: "two pieces")),
    (Fixture.tokenizerJSON(merges: #"[["a"]]"#), .wrongType(path: "model.merges[0]", expected: "two pieces")),
    (Fixture.tokenizerJSON(added: #"[{"content":"x"}]"#), .missing(path: "added_tokens[0].id")),
    (
      Fixture.tokenizerJSON(added: #"[{"id":3,"content":"x"},{"id":3,"content":"y"}]"#),
      .duplicateID(path: "added_tokens[1]", id: 3)
    ),
    (
      Fixture.tokenizerJSON(added: #"[{"id":0,"content":"x"}]"#),
      .invalid(path: "added_tokens[0]", "\"x\" has the id of \"a\"")
    ),
    (Fixture.tokenizerJSON(preTokenizer: #"{"type":"Foo"}"#), .unsupported(path: "pre_tokenizer.type", "Foo")),
    (
      Fixture.tokenizerJSON(
        preTokenizer: #"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"a"},"behavior":"X"}]}"#),
      .unsupported(path: "pre_tokenizer.pretokenizers[0].behavior", "X")
    ),
    (
      Fixture.tokenizerJSON(extra: #","end_of_word_suffix":"</w>""#),
      .unsupported(path: "model.end_of_word_suffix", "\"</w>\"")
    ),
    (Array("{}".utf8), .missing(path: "model")),
    (Array("{".utf8), .json(file: "tokenizer.json", .endOfText(offset: 1))),
  ])
  func refusals(_ json: [UInt8], _ expected: TokenizerError) throws {
    #expect(throws: expected) { try TokenizerJSON.read(tokenizer: json) }
  }

  @Test func badPatternIsNamed() throws {
    let json = Fixture.tokenizerJSON(
      preTokenizer:
        #"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"},{"type":"ByteLevel"}]}"#
    )
    let model = try TokenizerJSON.read(tokenizer: json)
    #expect(throws: TokenizerError.regex(path: "pre_tokenizer[0]", pattern: "(a", .syntax("unclosed group", offset: 0)))
    {
      try Tokenizer(model)
    }
  }

  @Test func addedTokensFillHolesAndExtend() throws {
    let json = Fixture.tokenizerJSON(
      vocabulary: #"{"a":0,"b":1,"ab":3}"#,
      added: #"[{"id":2,"content":"<x>","special":true},{"id":6,"content":"<y>","special":false}]"#)
    let model = try TokenizerJSON.read(tokenizer: json)
    #expect(model.tokens.map(\.piece) == ["a", "b", "<x>", "ab", "[PAD4]", "[PAD5]", "<y>"])
    #expect(model.tokens.map(\.kind) == [.normal, .normal, .control, .normal, .unused, .unused, .userDefined])
    #expect(try Tokenizer(model).encode("ab<x>a<y>b") == [3, 2, 0, 6, 1])
    #expect(try Tokenizer(model).encode("ab<x>a<y>b", parsesSpecial: false) == [3, 0, 6, 1])
  }

  @Test func addedTokensTakeSpaceAndStandAlone() throws {
    let json = Fixture.tokenizerJSON(
      vocabulary: #"{"a":0,"b":1,"ab":2,"Ġ":3}"#,
      added: """
        [{"id":4,"content":"<l>","lstrip":true,"special":true},{"id":5,"content":"<r>","rstrip":true,"special":true},
         {"id":6,"content":"b","single_word":true,"special":true,"normalized":false}]
        """.replacing("b\",\"single", with: "bb\",\"single"))
    let tokenizer = try Tokenizer(TokenizerJSON.read(tokenizer: json))
    #expect(try tokenizer.encode("a  <l> <r>  b") == [0, 4, 3, 5, 1])
    #expect(try tokenizer.encode("bb abb bb") == [6, 3, 2, 1, 3, 6])
  }

  @Test func mergesOutsideTheVocabulary() throws {
    // llama.cpp merges spellings: "ab" is no token but becomes part of "abc", and falls apart into bytes by itself.
    var metadata = Metadata()
    metadata["tokenizer.ggml.model"] = .string("gpt2")
    metadata["tokenizer.ggml.pre"] = .string("gpt-2")
    metadata["tokenizer.ggml.tokens"] = .array(.string(["a", "b", "c", "abc"]))
    metadata["tokenizer.ggml.merges"] = .array(.string(["a b", "ab c"]))
    let (model, warnings) = try #require(try GGUFTokenizer.read(metadata))
    #expect(warnings.isEmpty && model.mergePieces == ["ab"])
    #expect(try Tokenizer(model).encode("abcab") == [3, 0, 1])
    #expect(try TokenizerJSON.files(for: model).droppedMergeCount == 2)
  }
}
