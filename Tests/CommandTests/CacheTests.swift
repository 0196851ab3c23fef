import Bytes
import ContainerTesting
import Testing

/// `--kv` of the commands that run a decoder.
@Suite struct CacheTests {
  @Test(
    "a smaller cache costs what it did when it was measured, and a little more at most",
    // Over the whole text: 0.00002 and 0.0054 nats, 99.7 % and 95.1 % of the top tokens.
    arguments: [("f16", 0.0, 1.0), ("f32", 1e-6, 0.99), ("q8_0", 0.00005, 0.99), ("q4_0", 0.008, 0.92)])
  func divergence(kv: String, bound: Double, agreement: Double) throws {
    let json = try JSONTests.check(
      [
        "verify", kjv.string, kjv.string, "--text", kjv.appending("eval.txt").string, "--windows", "12", "--kv", kv,
      ], has: ["kld.mean"])
    let mean = try #require(json["kld"]?["mean"]?.double)
    #expect(mean <= bound && (mean > 0) == (kv != "f16"), "\(kv): \(mean)")
    let share = try #require(json["topTokenAgreement"]?.double)
    #expect(share >= agreement, "\(kv): \(share)")
  }

  @Test("every command that runs a decoder takes it", arguments: ["f32", "f16", "Q8_0", "q4_0"])
  func commands(kv: String) throws {
    let scratch = Scratch()
    let bench = try JSONTests.check(["bench", kjv.string, "-p", "40", "-n", "2", "-r", "1", "--kv", kv], has: ["kv"])
    #expect(bench["kv"]?.string?.text == kv.lowercased())
    let run = try JSONTests.check(["run", kjv.string, "-p", "In the", "-n", "4", "--kv", kv], has: ["tokens"])
    #expect(run["tokens"]?.array?.count == 4)
    let alone = try JSONTests.check(
      [
        "verify", kjv.string, "--text", kjv.appending("eval.txt").string, "--windows", "1", "--context", "64", "--kv",
        kv,
      ], has: ["reference.perplexity"])
    #expect(try #require(alone["reference"]?["perplexity"]?.double) < 200)
    let tiny = fixtures.appending("conformance/llama")
    _ = try JSONTests.check(
      [
        "logits", tiny.string, "--ids", tiny.appending("golden.safetensors").string, "-o",
        scratch.path.appending("o.safetensors").string, "--kv", kv,
      ], has: ["shape"])
  }

  @Test("an encoder–decoder keeps its source's keys and values packed, too", arguments: ["t5", "bart"])
  func crossAttention(name: String) throws {
    let model = fixtures.appending("generation/\(name)").string
    let wanted = try Quern.run(["run", model, "-p", "a", "-n", "8", "--json"]).json()["tokens"]
    let packed = try Quern.run(["run", model, "-p", "a", "-n", "8", "--kv", "q8_0", "--json"]).json()["tokens"]
    #expect(packed?.array?.isEmpty == false && packed == wanted)
  }
}
