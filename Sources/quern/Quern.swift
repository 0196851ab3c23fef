import ArgumentParser
import Glibc

@main
struct Quern: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quern",
    abstract: "Read, convert, quantize, measure and prove model checkpoints.",
    discussion: """
      A MODEL is a Hugging Face directory (config.json and *.safetensors), a .gguf file, or, where no weights are \
      needed, a config.json.

        quern inspect MODEL                              what is in it
        quern memory MODEL --context 8192 --vram 6GB     what it needs, and whether it fits
        quern quantize MODEL -o OUT.gguf --recipe int4   make it small
        quern verify MODEL OUT.gguf --text eval.txt      what that cost
        quern run OUT.gguf -p "Once upon a time"         try it

      Exit status: 0 done, 1 failed, 2 bad usage, 3 a threshold was not met, 4 malformed or unsupported input.
      """,
    version: "0.1.0",
    subcommands: [
      Inspect.self, Convert.self, Quantize.self, Imatrix.self, MemoryCommand.self, Fit.self, Verify.self, Run.self,
      Embed.self, FillMask.self,
      LogitsCommand.self,
      Tokenize.self, Bench.self, Diff.self, Architectures.self, Recipes.self, Devices.self,
      Containers.self,
    ])

  static func main() {
    // A closed pipe (quern … | head) ends the program quietly instead of by a message about writing.
    _ = signal(SIGPIPE, SIG_DFL)
    // A limit on file sizes is an error of the write that meets it, to be told like any other.
    _ = signal(SIGXFSZ, SIG_IGN)
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      Glibc.exit(Failure.report(error))
    }
  }
}
