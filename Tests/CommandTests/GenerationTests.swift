import Bytes
import ContainerTesting
import SystemPackage
import Testing

/// Answers of tiny encoder–decoders with tokenizers of their own, beside those of transformers (Fixtures/generation).
@Suite struct GenerationTests {
  @Test(
    "encoder–decoders answer a prompt as transformers does, BART with the first token that it is told",
    arguments: ["t5", "bart"])
  func answers(name: String) throws {
    let folder = fixtures.appending("generation")
    let bytes = try InputFile.contents(of: folder.appending("answers.json"), limit: 1 << 20)
    let rows = try #require(try JSONValue.parse(bytes)[ByteString(name)]?.array)
    #expect(rows.count == 5)
    for row in rows {
      let prompt = try #require(row["prompt"]?.string?.text)
      var tokens = try #require(row["tokens"]?.array).compactMap(\.int)
      if name == "bart" { #expect(tokens.removeFirst() == 0) }
      let outcome = try Quern.run([
        "run", folder.appending(name).string, "-p", prompt, "-n", "\(name == "bart" ? 22 : 23)", "--arithmetic",
        "exact",
        "--json",
      ])
      let json = try outcome.json()
      #expect(json["promptTokens"]?.int == row["input_ids"]?.array?.count, "\(prompt)")
      #expect(json["tokens"]?.array?.compactMap(\.int) == tokens, "\(prompt)")
    }
  }
}

/// Real models, where `make models` has put them.
@Suite struct RealModelTests {
  static let rxnmapper = fixtures.removingLastComponent().appending("Models/rxnmapper")

  @Test(
    "rxnmapper fills gaps of reactions as transformers does",
    .enabled(if: FileSystem.isDirectory(rxnmapper), "make models installs it"))
  func reactions() throws {
    let bytes = try InputFile.contents(of: fixtures.appending("real/rxnmapper.json"), limit: 1 << 20)
    for answer in try #require(try JSONValue.parse(bytes).array) {
      let text = try #require(answer["text"]?.string?.text)
      let json = try Quern.run(["fill-mask", Self.rxnmapper.string, text, "--top", "5", "--json"]).json()
      let found = (json["gaps"]?.array ?? []).map { gap in (gap["tokens"]?.array ?? []).compactMap { $0["id"]?.int } }
      let wanted = (answer["gaps"]?.array ?? []).map { gap in (gap["ids"]?.array ?? []).compactMap(\.int) }
      #expect(found == wanted && !wanted.isEmpty, "\(text)")
    }
  }
}
