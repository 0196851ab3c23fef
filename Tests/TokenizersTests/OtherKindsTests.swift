import Bytes
import IR
import Testing
import Tokenizers

/// SentencePiece BPE, WordPiece and unigram against the `tokenizers` package (Fixtures/tokenizers/kinds.json).
@Suite struct OtherKindsTests {
  private func read(_ name: String) throws -> TokenizerModel {
    try TokenizerJSON.read(tokenizer: Fixture.bytes("\(name)/tokenizer.json"))
  }

  private func expectFixtureIDs(_ name: String, _ tokenizer: Tokenizer) throws {
    for row in try #require(try Fixture.json("kinds.json")[ByteString(name)]?.array) {
      let text = try #require(row["text"]?.string)
      let ids = try tokenizer.encode(text.bytes, addsSpecial: true)
      #expect(ids.map(Int.init) == row["ids"]?.array?.compactMap(\.int), "\(name): \(text)")
    }
  }

  @Test(arguments: [
    ("llama2", TokenizerModel.Algorithm.sentencePieceBPE), ("mistral", .sentencePieceBPE), ("bert", .wordPiece),
    ("unigram", .unigram),
  ])
  func idsOfTheTokenizersPackage(_ name: String, _ algorithm: TokenizerModel.Algorithm) throws {
    let model = try read(name)
    #expect(model.algorithm == algorithm)
    try expectFixtureIDs(name, Tokenizer(model))
  }

  @Test("vocab.txt says what tokenizer.json would") func vocabularyOfLines() throws {
    let model = try read("bert")
    let lines = model.tokens.map(\.piece.text).joined(separator: "\n")
    let read = try WordPieceVocabulary.read(vocabulary: Array(lines.utf8))
    #expect(read.algorithm == .wordPiece)
    try expectFixtureIDs("bert", Tokenizer(read))
  }

  @Test("a vocab.txt of atoms cuts formulae, and leaves out what is none") func vocabularyOfAtoms() throws {
    let tokens = [
      "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "c", "C", "(", ")", "O", "1", "Cl", ">>", "[C@@H]", "[O-]", "%12",
      ".",
    ]
    let model = try WordPieceVocabulary.read(vocabulary: Array(tokens.joined(separator: "\n").utf8))
    let tokenizer = try Tokenizer(model)
    for (text, ids) in [
      ("CCl>>c1c", [6, 11, 12, 5, 10, 5]), ("C[C@@H](O)[MASK]C", [6, 13, 7, 9, 8, 4, 6]),
      ("[O-].C%12 é", [14, 16, 6, 15]),
      ("Br", [1]),
    ] {
      #expect(try tokenizer.encode(Array(text.utf8), addsSpecial: true).map(Int.init) == [2] + ids + [3], "\(text)")
    }
  }

  @Test func sentencePieceThroughGGUF() throws {
    var model = try read("llama2")
    model.specialIDs[.bos] = 1
    model.specialIDs[.eos] = 2
    let (metadata, warnings) = try GGUFTokenizer.metadata(for: model, vocabularyCount: model.tokens.count)
    #expect(warnings.isEmpty && metadata["tokenizer.ggml.model"] == .string("llama"))
    let (back, _) = try #require(try GGUFTokenizer.read(metadata))
    #expect(back.merges.isEmpty && back.tokens[0].kind == .unknown && back.tokens[10].kind == .byte)
    try expectFixtureIDs("llama2", Tokenizer(back))
  }

  @Test func wordPieceThroughGGUF() throws {
    var model = try read("bert")
    model.specialIDs[.cls] = 2
    model.specialIDs[.sep] = 3
    let (metadata, _) = try GGUFTokenizer.metadata(for: model, vocabularyCount: model.tokens.count)
    let (back, _) = try #require(try GGUFTokenizer.read(metadata))
    #expect(back.tokens.map(\.piece) == model.tokens.map(\.piece))
    try expectFixtureIDs("bert", Tokenizer(back))
  }

  @Test func everyByteSequenceComesBackFromSentencePiece() throws {
    let tokenizer = try Tokenizer(read("llama2"))
    var random = Sequence64(state: 3)
    for length in [0, 1, 5, 100, 3000] {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(try tokenizer.decode(tokenizer.encode(bytes, parsesSpecial: false)) == bytes)
    }
  }
}
