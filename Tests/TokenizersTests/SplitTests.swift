import Bytes
import IR
import Testing
import Tokenizers

@Suite struct SplitTests {
  /// Every pipeline of Fixtures/tokenizers/splits.json cuts every text as the `tokenizers` package does.
  @Test func splitsLikeTheTokenizersPackage() throws {
    let fixture = try Fixture.json("splits.json")
    let texts = try #require(fixture["texts"]?.array).compactMap(\.string)
    for (name, pipeline) in try #require(fixture["pipelines"]?.object).members {
      let description = try #require(pipeline["description"]).serialized()
      let json = Fixture.tokenizerJSON(preTokenizer: String(decoding: description, as: UTF8.self))
      let model = try TokenizerJSON.read(tokenizer: json)
      let splitter = try SplitPipeline(model.preTokenizers, path: "")
      var scratch = SplitPipeline.Scratch()
      for (text, cuts) in zip(texts, try #require(pipeline["cuts"]?.array)) {
        var bytes = text.bytes
        try splitter.split(&bytes, &scratch)
        #expect(scratch.pieces.map(\.count) == cuts.array?.compactMap(\.int), "\(name): \(text)")
      }
    }
  }
}
