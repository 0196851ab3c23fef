import Bytes
import ContainerTesting
import Foundation
import SystemPackage
import Testing

@Suite struct OutputTests {
  /// Mounts a file system that only this program sees; status 77 where the system does not permit that.
  static func mounted(_ options: String, at folder: FilePath) -> String {
    "unshare --user --map-root-user --mount sh -c 'mount -t tmpfs -o \(options) none \"\(folder)\" || exit 77; exec \"$@\"' sh \"$@\" || exit $?"
  }

  static func canMount(at folder: FilePath) throws -> Bool {
    let shell = mounted("size=1m", at: folder)
    return try Quern.run(["recipes"], shell: shell).status == 0
  }

  @Test("a directory that is not there, or not writable, is named before any work", arguments: ["out.gguf", "out"])
  func notWritable(name: String) throws {
    let model = try TestModel()
    let missing = model.scratch.path.appending("missing").appending(name).string
    try expectFailure(
      ["convert", model.path.string, "-o", missing], status: 1, words: ["missing/\(name)", "No such"],
      keeping: model.scratch.path)
    let file = model.path.appending("config.json").appending(name).string
    try expectFailure(
      ["convert", model.path.string, "-o", file], status: 1, words: [name, "Not a directory"],
      keeping: model.scratch.path)
    let sealed = Scratch(under: model.scratch.path, name: "sealed")
    if geteuid() != 0 {
      unsafe _ = chmod(sealed.path.string, 0o555)
      try expectFailure(
        ["convert", model.path.string, "-o", sealed.path.appending(name).string], status: 1,
        words: ["sealed", "Permission denied"],
        keeping: model.scratch.path)
      unsafe _ = chmod(sealed.path.string, 0o755)
    }
    if try Self.canMount(at: sealed.path) {
      try expectFailure(
        ["convert", model.path.string, "-o", sealed.path.appending(name).string], status: 1,
        words: ["sealed", "Read-only"],
        keeping: model.scratch.path, shell: Self.mounted("ro,size=1m", at: sealed.path))
    }
  }

  @Test("a full disk is found before the work, and nothing is left", arguments: ["out.gguf", "out"])
  func diskFull(name: String) throws {
    let model = try TestModel()
    let small = Scratch(under: model.scratch.path, name: "small")
    let target = small.path.appending(name).string
    let command = ["convert", kjv.string, "-o", target]
    // A limit on file sizes is the nearest thing that every user may set.
    try expectFailure(
      command, status: 1, words: ["small", "large"], keeping: model.scratch.path, shell: "ulimit -f 1024; exec \"$@\"")
    if try Self.canMount(at: small.path) {
      let leftovers = Self.mounted("size=1m", at: small.path).replacing(
        "exec \"$@\"'", with: "\"$@\"; s=$?; test -z \"$(ls -A \"\(small.path)\")\" || exit 99; exit $s'")
      try expectFailure(
        command, status: 1, words: ["small", "No space left"], keeping: model.scratch.path, shell: leftovers)
    }
  }

  @Test(
    "an existing output stays unless --force is given; over its own input it is safe", arguments: ["out.gguf", "out"])
  func existing(name: String) throws {
    let model = try TestModel()
    let target = model.scratch.path.appending(name).string
    #expect(try Quern.run(["convert", model.path.string, "-o", target]).status == 0)
    try expectFailure(
      ["convert", model.path.string, "-o", target], status: 1, words: [name, "--force"], keeping: model.scratch.path)
    let names = listing(model.scratch.path)
    #expect(try Quern.run(["convert", target, "-o", target, "--force"]).status == 0)
    #expect(listing(model.scratch.path) == names)
    #expect(try Quern.run(["diff", model.path.string, target, "--json"]).json()["equal"]?.bool == true)
  }

  @Test(
    "a run that is killed leaves no output, no leftovers, and its input untouched", arguments: ["gguf", "safetensors"])
  func killed(container: String) throws {
    let model = try TestModel()
    let output = Scratch(under: model.scratch.path, name: "output")
    let target = output.path.appending(container == "gguf" ? "out.gguf" : "out")
    let command =
      container == "gguf"
      ? ["quantize", kjv.string, "-o", target.string] : ["convert", kjv.string, "-o", target.string, "--dtype", "f32"]
    let before = listing(kjv)
    let clock = ContinuousClock()
    let start = clock.now
    #expect(try Quern.run(command).status == 0)
    let whole = clock.now - start
    let finished = listing(output.path)
    func clear() {
      for name in [target.string, target.string + ".report.json"] { try? FileManager.default.removeItem(atPath: name) }
    }
    for round in 0..<12 {
      clear()
      let logs = Scratch()
      let process = try Quern.start(command, logs: logs.path)
      usleep(UInt32(Double(whole.components.attoseconds / 1_000_000_000_000) * Double(round) / 12))
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      let left = listing(output.path)
      // Between naming the files and the directory lie microseconds; the next run clears what is left of them.
      let named = left.filter { !$0.hasPrefix(".out") }
      #expect(named.isEmpty || named == finished, "round \(round): \(left)")
    }
    #expect(listing(kjv) == before)
    clear()
    #expect(try Quern.run(command).status == 0)
    #expect(listing(output.path) == finished)
    // What a killed run of a process that no longer is would have left.
    guard container == "safetensors" else { return }
    try FileManager.default.removeItem(atPath: target.string)
    _ = try Scratch(under: output.path, name: ".out.quern-2147483646").write([1], to: "model.safetensors")
    #expect(try Quern.run(command).status == 0)
    #expect(listing(output.path) == finished)
  }

  @Test("standard output that takes nothing is an error; a closed one ends quietly")
  func standardOutput() throws {
    let model = try TestModel()
    for command in [["inspect", model.path.string, "--json"], ["recipes"], ["--help"], ["memory", model.path.string]] {
      let full = try Quern.run(command, shell: "exec \"$@\" >/dev/full")
      #expect(
        full.status == 1 && full.errors.contains("standard output") && full.errorLines.count == 1,
        "\(command): \(full.errors)")
      let closed = try Quern.run(command, shell: "\"$@\" | true; exit 0")
      #expect(closed.status == 0 && closed.errors.isEmpty, "\(command): \(closed.errors)")
    }
  }

  @Test("names with spaces, quotes, newlines and any letters")
  func names() throws {
    let model = try TestModel()
    for name in [
      "two words.gguf", "Größe — 模型 🌾.gguf", "it's \"quoted\".gguf", "-dash.gguf", "line\nbreak.gguf", "50%.gguf",
    ] {
      let target = model.scratch.path.appending(name).string
      let made = try Quern.run(["quantize", model.path.string, "--recipe", "q8_0", "-o", target])
      #expect(made.status == 0, "\(made.errors)")
      let read = try Quern.run(["inspect", target, "--json"])
      #expect(try read.json()["tensorCount"]?.int == 30, "\(read.errors)")
    }
    let inside = try Quern.run(["inspect", "."], in: model.path)
    #expect(inside.status == 0 && inside.output.contains("llama"))
    let relative = try Quern.run(["convert", "model", "-o", "here.gguf"], in: model.scratch.path)
    #expect(relative.status == 0 && FileSystem.exists(model.scratch.path.appending("here.gguf")))
  }
}
