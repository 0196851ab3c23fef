import ArgumentParser
import Bytes
import Calibration
import Conversion
import GGUF
import IR
import Kernels
import SystemPackage

struct Imatrix: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure on a text how much each input channel matters, for quantizing here or with llama-quantize.",
    discussion: """
      The file is what llama-imatrix writes: sums of squares of every linear layer's inputs. Where this program \
      quantizes, `quantize --calibrate TEXT` uses more than that and loses less.

        quern imatrix model.gguf --text calib.txt -o imatrix.gguf
        quern quantize model.gguf -o out.gguf --recipe q4_k_m --imatrix imatrix.gguf
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Option(help: "A UTF-8 text like what the model will read.")
  var text: FilePath

  @Option(name: [.short, .customLong("output")], help: ArgumentHelp("The .gguf file to write.", valueName: "out"))
  var output: FilePath

  @Option(help: "Tokens per window (default: the model's own context, at most 512).")
  var context: Int?

  @Option(help: "The most windows to run (default: the whole text).")
  var windows: Int?

  @Flag(help: "The output head's inputs as well.")
  var processOutput = false

  @Flag(help: "Replace an existing output file.")
  var force = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let windows, windows < 1 { throw ValidationError("--windows takes at least 1, not \(windows)") }
    if let context, context < 8 { throw ValidationError("--context takes at least 8, not \(context)") }
  }

  func run() throws {
    let processor = try common.processor()
    let opened = try OpenedModel(model, common)
    let cut = try opened.windows(of: text, context: context, limit: windows)
    let file = try AtomicFile(output, overwrites: force)
    let start = Clock.now()
    let progress = Progress(
      "imatrix", total: opened.model.hyperparameters.integer("block_count") ?? 0, unit: .blocks,
      isShown: !common.json)
    let importance: Importance
    do {
      importance = try ImportanceCollector(opened.model, graph: opened.architecture.graph, processor: processor).run(
        (0..<cut.count).map { cut[$0] }, text: ByteString(text.lastComponent?.string ?? text.string),
        includesHead: processOutput
      ) { _ in progress.advance(1) }
    } catch { throw ConversionError.calibration(path: opened.checkpoint.path, error) }
    progress.finish()
    try file.write(ImportanceFile.serialized(importance), at: 0)
    try file.commit()
    let seconds = Clock.now() - start
    let tokens = importance.chunkCount * importance.chunkSize
    if common.json {
      return printJSON([
        "output": .text(output.string), "matrices": .integer(importance.entries.count), "tokens": .integer(tokens),
        "seconds": .double(seconds), "peakResidentBytes": .integer(Environment.peakResidentBytes),
      ])
    }
    print(
      "\(output): \(importance.entries.count) matrices over \(Format.grouped(tokens)) tokens, "
        + "\(Format.fixed(seconds, 2)) s, \(Format.bytes(Environment.peakResidentBytes)) of memory")
  }
}
