import ArgumentParser
import Bytes
import Conversion
import SystemPackage
import Tokenizers

struct Tokenize: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Split text into a model's tokens.",
    discussion: """
        quern tokenize model.gguf "Hello there"
        quern tokenize ./model --file book.txt --ids > book.ids
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Argument(help: "The text.")
  var text: String?

  @Option(help: "Read the text from a file instead.")
  var file: FilePath?

  @Flag(help: "Only the ids, in brackets.")
  var ids = false

  @Flag(help: "Leave out the special tokens that the model adds around a text.")
  var noSpecial = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let bytes: [UInt8]
    switch (text, file) {
    case (let text?, nil): bytes = Array(text.utf8)
    case (nil, let file?): bytes = try InputFile.contents(of: file, limit: 1 << 30)
    default: throw UsageError("give either a TEXT or --file")
    }
    let tokenizer = try OpenedModel(model, common).tokenizer()
    let tokens = try tokenizer.encode(bytes, addsSpecial: !noSpecial)
    if common.json {
      return printJSON([
        "count": .integer(tokens.count), "ids": .array(tokens.map { .integer(Int($0)) }),
        "tokens": .array(try tokens.map { .string(ByteString(bytes: try tokenizer.decode([$0]))) }),
      ])
    }
    if ids { return print("[" + tokens.map(String.init).joined(separator: ", ") + "]") }
    var lines = ""
    for token in tokens {
      lines += "\(token)\t\(String(decoding: try tokenizer.decode([token]), as: UTF8.self).debugDescription)\n"
    }
    Terminal.standardOutput(Array(lines.utf8))
  }
}
