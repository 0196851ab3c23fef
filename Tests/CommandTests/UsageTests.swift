import Bytes
import ContainerTesting
import SystemPackage
import Testing

@Suite struct UsageTests {
  @Test(
    "a mistake in the command line ends with status 2 and says what was meant",
    arguments: [
      (["quantise", "MODEL", "-o", "x"], ["quantise", "'quantize'"]), (["frobnicate"], ["frobnicate", "inspect"]),
      (["run", "MODEL", "--promt", "x"], ["--promt", "'--prompt'"]),
      (["inspect", "MODEL", "--jsn"], ["--jsn", "'--json'"]),
      (["verify", "MODEL", "--txt", "x"], ["--txt", "'--text'"]), (["inspect"], ["<model>"]),
      (["inspect", ""], ["<model>"]),
      (["inspect", "MODEL", "extra"], ["extra"]), (["inspect", "MODEL", "--threads", "0"], ["--threads"]),
      (["inspect", "MODEL", "--threads", "9999"], ["--threads"]),
      (["inspect", "MODEL", "--threads", "two"], ["--threads", "two"]),
      (["run", "MODEL", "-p", "x", "--isa", "nonsense"], ["nonsense", "generic"]),
      (["quantize", "MODEL", "-o", "x", "--recipe", "q3"], ["q3", "q8_0"]), (["quantize", "MODEL"], ["-o"]),
      (["quantize", "MODEL", "-o", "x", "--recipe", "Q4KM"], ["Q4KM", "'q4_k_m'", "quern recipes"]),
      (["quantize", "MODEL", "-o", "x.gguf", "--tensor", "ffn(=q8_0"], ["--tensor", "ffn("]),
      (["quantize", "MODEL", "-o", "x.gguf", "--tensor", "ffn=q9"], ["--tensor", "q9"]),
      (["quantize", "MODEL", "-o", "x.gguf", "--tensor", "ffn=iq1_s"], ["IQ1_S", "q8_0"]),
      (["quantize", "MODEL", "-o", "x.gguf", "--tensor", "zebra=q8_0"], ["zebra", "no tensor"]),
      (["quantize", "MODEL", "-o", "x.gguf", "--max-shard-size", "1"], ["--max-shard-size"]),
      (["convert", "MODEL", "-o", "x", "--to", "onnx"], ["onnx", "gguf"]),
      (["convert", "MODEL", "-o", "x", "--dtype", "q4_0"], ["q4_0", "quantize"]),
      (["convert", "MODEL", "-o", "x", "--dtype", "zork"], ["zork", "bf16"]),
      (["run", "MODEL"], ["--prompt"]), (["run", "MODEL", "-p", "x", "-n", "0"], ["--tokens"]),
      (["run", "MODEL", "-p", "x", "-n", "1000000000"], ["memory"]),
      (["run", "MODEL", "-p", "x", "-n", "99999999999999"], ["--tokens"]),
      (["run", "MODEL", "-p", "x", "--temperature", "nan"], ["--temperature"]),
      (["run", "MODEL", "-p", "x", "--top-k", "0"], ["--top-k"]),
      (["run", "MODEL", "-p", "x", "--top-p", "2"], ["--top-p"]),
      (["run", "MODEL", "-p", "x", "--arithmetic", "slow"], ["slow"]),
      (["run", "MODEL", "-p", "x", "--kv", "q5_0"], ["q5_0", "q8_0"]),
      (["bench", "MODEL", "-p", "0"], ["--prompt"]), (["bench", "MODEL", "-p", "1000000000000"], ["memory"]),
      (["bench", "MODEL", "-r", "0"], ["--repetitions"]),
      (["verify", "MODEL"], ["--text"]), (["verify", "MODEL", "--text", "TEXT", "--context", "4"], ["--context"]),
      (["verify", "MODEL", "--text", "TEXT", "--context", "100000000"], ["TEXT", "--context"]),
      (["verify", "MODEL", "--text", "TEXT", "--windows", "0"], ["--windows"]),
      (["verify", "MODEL", "MODEL", "--text", "TEXT", "--max-kld", "nan"], ["--max-kld"]),
      (["verify", "MODEL", "MODEL", "--text", "TEXT", "--max-kld=-1"], ["--max-kld"]),
      (["verify", "MODEL", "MODEL", "--text", "TEXT", "--max-ppl-increase", "few"], ["--max-ppl-increase", "few"]),
      (["verify", "MODEL", "--text", "TEXT", "--max-kld", "1"], ["CANDIDATE"]),
      (["verify", "MODEL", "OTHER", "--text", "TEXT"], ["vocabular"]),
      (["memory", "MODEL", "--context", "0"], ["context"]), (["memory", "MODEL", "--batch", "0"], ["batch"]),
      (["memory", "MODEL", "--kv", "q99"], ["q99"]), (["memory", "MODEL", "--vram", "6XB"], ["6XB"]),
      (["memory", "MODEL", "--vram", "6"], ["6GB"]), (["memory", "MODEL", "--recipe", "none"], ["none", "q8_0"]),
      (["tokenize", "MODEL"], ["TEXT"]), (["tokenize", "MODEL", "a", "--file", "TEXT"], ["TEXT"]),
    ])
  func mistakes(arguments: [String], words: [String]) throws {
    let scratch = Scratch()
    let names = [
      "MODEL": kjv.string, "TEXT": kjv.appending("config.json").string,
      "OTHER": fixtures.appending("conformance/llama").string,
      "x": scratch.path.appending("x").string, "x.gguf": scratch.path.appending("x.gguf").string,
    ]
    let isOutput = { (index: Int) in index > 0 && arguments[index - 1] == "-o" }
    let real = arguments.enumerated().map { index, word in
      word.hasPrefix("x") && !isOutput(index) ? word : names[word] ?? word
    }
    try expectFailure(
      real, status: 2, words: words.map { $0 == "TEXT" && arguments[0] == "verify" ? "config.json" : $0 },
      keeping: scratch.path)
  }

  @Test("an instruction set from the environment is taken as seriously")
  func environment() throws {
    let outcome = try Quern.run(["tokenize", kjv.string, "x"], environment: ["QUERN_ISA": "nonsense"])
    let run = try Quern.run(["run", kjv.string, "-p", "x", "-n", "1"], environment: ["QUERN_ISA": "nonsense"])
    #expect(run.status == 2 && run.errors.contains("nonsense"), "\(outcome.status)")
    #expect(
      try Quern.run(["run", kjv.string, "-p", "x", "-n", "1"], environment: ["QUERN_ISA": "Generic"]).status == 0)
  }

  @Test(
    "help and version go to standard output with status 0",
    arguments: [
      ["--help"], ["--version"], ["help"], ["help", "quantize"], ["quantize", "--help"], ["verify", "-h"], [],
    ])
  func help(arguments: [String]) throws {
    let outcome = try Quern.run(arguments)
    #expect(outcome.status == 0 && !outcome.output.isEmpty && outcome.errors.isEmpty)
  }

  @Test("every command's help says what its options are for")
  func allHelp() throws {
    let root = try Quern.run(["--help"]).output
    for command in ["inspect", "convert", "quantize", "memory", "verify", "run", "logits", "tokenize", "bench", "diff"]
    {
      #expect(root.contains("  \(command) "))
      let help = try Quern.run([command, "--help"]).output
      #expect(help.contains("--threads") && help.contains("--json") && help.contains("OVERVIEW"), "\(command)")
    }
  }
}
