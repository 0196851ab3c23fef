import ArgumentParser
import Bytes
import Conversion
import Kernels
import Runtime
import SystemPackage
import Tokenizers

struct Embed: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Turn lines of text into vectors with an encoder.",
    discussion: """
      One vector for each line. To a .npy file as F32 [lines, width]; to any other file, or without one to standard \
      output, as JSON, one list to a line.

        quern embed all-MiniLM-L6-v2 --file lines.txt -o vectors.npy --normalize
        quern embed all-MiniLM-L6-v2 "one text" "and another"
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Argument(help: "Texts to embed.")
  var texts: [String] = []

  @Option(help: "A UTF-8 file with one text to a line.")
  var file: FilePath?

  @Option(name: [.short, .customLong("output")], help: "The .npy or JSON file to write.")
  var output: FilePath?

  @Option(help: "mean of all tokens, cls (the first token's state), or pooler (the model's own).")
  var pooling: Pooling = .mean

  @Flag(help: "Make every vector one long.")
  var normalize = false

  @Option(help: "Cut texts to this many tokens (default: the model's positions).")
  var maxTokens: Int?

  @Option(help: "fast (int8 inputs where weights are packed) or exact.")
  var arithmetic: Arithmetic = .fast

  @Flag(help: "Replace an existing output file.")
  var force = false

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let maxTokens, maxTokens < 2 { throw ValidationError("--max-tokens takes at least 2, not \(maxTokens)") }
    if texts.isEmpty == (file == nil) { throw ValidationError("give either texts or --file") }
  }

  /// Tokens that go through the layers together: their states stay in the caches.
  private static let rows = 512

  func run() throws {
    let processor = try common.processor()
    let lines = try readLines()
    let opened = try OpenedModel(model, common)
    let tokenizer = try opened.tokenizer()
    let running = try RunningModel(opened, arithmetic: arithmetic, processor: processor, isQuiet: common.json)
    let text = try EncoderText(running, tokenizer: tokenizer, maximum: maxTokens)
    let start = Clock.now()
    let sequences = try lines.map { try text.tokens(of: $0) }
    let rows = max(Self.rows, sequences.map(\.count).max() ?? 1)
    let encoder = try running.encoder(rows: rows)
    if pooling == .pooler, !encoder.hasPooler { throw UsageError("\(model) has no pooler: take --pooling mean or cls") }
    let width = running.transformer.configuration.width
    let progress = Progress("embed", total: sequences.count, unit: .texts, isShown: !common.json && output != nil)
    var vectors: [Float] = []
    vectors.reserveCapacity(sequences.count * width)
    for range in EncoderText.batches(sequences, rows: rows) {
      let batch = try encoder.run(sequences[range].map { EncoderInput(ids: $0) })
      vectors += try encoder.vectors(batch, pooling: pooling, normalizes: normalize).floats.array()
      progress.advance(range.count)
    }
    progress.finish()
    let seconds = Clock.now() - start
    try write(vectors, count: sequences.count, width: width)
    let tokens = sequences.reduce(0) { $0 + $1.count }
    guard let output else { return }
    if common.json {
      return printJSON([
        "output": .text(output.string), "shape": .array([.integer(sequences.count), .integer(width)]),
        "tokens": .integer(tokens), "seconds": .double(seconds),
        "peakResidentBytes": .integer(Environment.peakResidentBytes),
      ])
    }
    print(
      "\(output): \(Format.grouped(sequences.count)) vectors of \(width), \(Format.grouped(tokens)) tokens in "
        + "\(Format.fixed(seconds, 2)) s")
  }

  private func readLines() throws -> [String] {
    guard let file else { return texts }
    let bytes = try InputFile.contents(of: file, limit: 1 << 30)
    guard let content = String(validating: bytes, as: UTF8.self) else {
      throw ConversionError.unrecognized(path: file, detail: "not a UTF-8 text")
    }
    var lines = content.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }.map(String.init)
    if lines.last == "" { lines.removeLast() }
    guard !lines.isEmpty else { throw UsageError("\(file) has no lines") }
    return lines
  }

  private func write(_ vectors: [Float], count: Int, width: Int) throws {
    guard let output, output.extension == "npy" else {
      var bytes: [UInt8] = []
      for row in 0..<count {
        let values = vectors[row * width..<(row + 1) * width].map { value -> JSONValue in
          value.isFinite ? .number(JSONNumber(literal: "\(value)")) : .null
        }
        bytes += JSONValue.array(values).serialized() + [UInt8(ascii: "\n")]
      }
      guard let output else { return Terminal.standardOutput(bytes) }
      let file = try AtomicFile(output, overwrites: force)
      try file.write(bytes, at: 0)
      return try file.commit()
    }
    let file = try AtomicFile(output, overwrites: force)
    let header = Self.header(count: count, width: width)
    var bytes = ByteWriter()
    for value in vectors { bytes.append(value) }
    try file.write(header, at: 0)
    try file.write(bytes.bytes, at: header.count)
    try file.commit()
  }

  /// NPY 1.0: magic, version, length of the dictionary, the dictionary padded so that data begins at a multiple of 64.
  private static func header(count: Int, width: Int) -> [UInt8] {
    let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(count), \(width)), }"
    let unpadded = 10 + text.utf8.count + 1
    let padding = (64 - unpadded % 64) % 64
    let length = text.utf8.count + padding + 1
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)] + Array(text.utf8)
      + [UInt8](repeating: UInt8(ascii: " "), count: padding) + [UInt8(ascii: "\n")]
  }
}

extension Pooling: ExpressibleByArgument {}
