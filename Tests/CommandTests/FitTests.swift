import Bytes
import ContainerTesting
import SystemPackage
import Testing

/// `quern fit` as a user meets it.
@Suite(.serialized) struct FitTests {
  private let scratch = Scratch()

  /// What is left of the budget by `quern memory`, for 512 tokens of context.
  private func headroom(_ model: String, _ budget: Int) throws -> Int {
    let json = try Quern.run(["memory", model, "--context", "512", "--vram", "\(budget)MB", "--json"]).json()
    #expect(json["overheadBytes"]?.int == 0 && (json["hostBytes"]?.int ?? 0) > 20_000_000)
    let parts = ["weightsBytes", "kvCacheBytes", "computeBytes"].reduce(0) { $0 + (json[$1]?.int ?? 0) }
    #expect(json["totalBytes"]?.int == parts)
    return budget * 1_000_000 - parts
  }

  private func divergence(_ model: String) throws -> Double {
    let json = try Quern.run([
      "verify", kjv.string, model, "--text", kjv.appending("eval.txt").string, "--windows", "8",
      "--json",
    ]).json()
    return try #require(json["kld"]?.object?["mean"]?.double)
  }

  @Test("a budget is kept, nearly used up, and a larger one loses less")
  func budgets() throws {
    var previousBits = 0.0
    var previousLoss = Double.infinity
    for budget in [12, 13, 14, 17, 20, 27] {
      let target = scratch.path.appending("\(budget).gguf").string
      let written = try Quern.run([
        "fit", kjv.string, "--vram", "\(budget)MB", "--context", "512", "-o", target, "--json",
      ])
      #expect(written.status == 0, "\(written.errors)")
      let bits = try #require(written.json()["bitsPerWeight"]?.double)
      let loss = try divergence(target)
      let left = try headroom(target, budget)
      #expect(left >= 0 && (left < 2_000_000 || bits > 15), "\(budget): \(left)")
      #expect(bits >= previousBits && loss < previousLoss, "\(budget): \(bits) bits, \(loss)")
      (previousBits, previousLoss) = (bits, loss)
    }
    #expect(previousBits > 15)
    try expectFailure(
      ["fit", kjv.string, "--vram", "8MB", "--context", "512", "-o", scratch.path.appending("none.gguf").string],
      status: 3, words: ["nothing fits", "needs", "KV cache"])
  }

  @Test("--calibrate measures where bits matter, feeds errors forward, and keeps the budget")
  func calibrated() throws {
    let plain = scratch.path.appending("plain.gguf").string
    let better = scratch.path.appending("better.gguf").string
    let arguments = ["fit", kjv.string, "--vram", "13MB", "--context", "512", "--json", "-o"]
    let text = ["--calibrate", kjv.appending("calib.txt").string, "--calibration-tokens", "8192"]
    for more in [[plain], [better] + text] {
      let outcome = try Quern.run(arguments + more)
      #expect(outcome.status == 0, "\(outcome.errors)")
    }
    #expect(try headroom(better, 13) >= 0)
    let losses = (try divergence(plain), try divergence(better))
    #expect(losses.1 < 0.5 * losses.0, "\(losses)")
    // Nothing is read where nothing can come of it.
    try expectFailure(
      ["fit", kjv.string, "--vram", "8MB", "--context", "512", "-o", better, "--force"] + text, status: 3,
      words: ["nothing fits"])
    try expectFailure(
      ["fit", "llama-2-7b", "--vram", "8GB", "--dry-run", "--calibrate", kjv.appending("calib.txt").string],
      status: 1, words: ["llama-2-7b"])
  }

  @Test("several devices at once are told as each alone", arguments: [[], ["--profile", "llama.cpp"]])
  func devices(more: [String]) throws {
    let names = ["RTX 3060", "GTX 1650", "A100", "Apple M1"]
    let arguments = ["fit", "llama-2-7b", "--dry-run", "--json"] + more
    let together = try Quern.run(arguments + names.flatMap { ["--device", $0] }).json()
    for (index, name) in names.enumerated() {
      let alone = try Quern.run(arguments + ["--device", name]).json()
      let one = try #require(together["devices"]?.array?[index])
      #expect(one.serialized() == JSONValue.object(alone).serialized(), "\(name)")
    }
  }

  @Test("routers stay as they are")
  func routers() throws {
    let model = fixtures.appending("conformance/mixtral").string
    let json = try Quern.run(["fit", model, "--vram", "1200KB", "--context", "16", "--dry-run", "--json"]).json()
    let rows = try #require(json["perMatrix"]?.array)
    let routers = rows.filter { $0["name"]?.string?.text.hasSuffix("ffn_gate_inp.weight") == true }
    #expect(!routers.isEmpty && routers.allSatisfy { $0["from"] == $0["to"] })
    #expect(rows.contains { $0["from"] != $0["to"] })
  }
}
