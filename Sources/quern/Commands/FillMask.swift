import ArgumentParser
import Bytes
import Conversion
import Kernels
import Runtime
import SystemPackage
import Tokenizers

struct FillMask: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fill-mask",
    abstract: "Say what a masked language model puts into the gaps of a text.",
    discussion: """
      Gaps are written as the model's own mask token, or as [MASK] for any model. Several gaps are filled each for \
      itself, given the others as gaps.

        quern fill-mask bert-base-uncased "The capital of France is [MASK]." --top 5
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Argument(help: "A text with at least one gap.")
  var text: String

  @Option(help: "The most likely tokens to show for each gap.")
  var top = 5

  @Option(help: "exact (decoded weights, F32 arithmetic) or fast.")
  var arithmetic: Arithmetic = .exact

  @OptionGroup var common: CommonOptions

  func validate() throws {
    if top < 1 { throw ValidationError("--top takes at least 1, not \(top)") }
  }

  func run() throws {
    let processor = try common.processor()
    let opened = try OpenedModel(model, common)
    let tokenizer = try opened.tokenizer()
    guard let mask = tokenizer.maskToken else {
      throw UsageError("the tokenizer of \(model) has no mask token; this is no masked language model")
    }
    let spelled = String(decoding: try tokenizer.decode([Int32(mask)]), as: UTF8.self)
    let running = try RunningModel(opened, arithmetic: arithmetic, processor: processor, isQuiet: common.json)
    let limit = try EncoderText(running, tokenizer: tokenizer, maximum: nil).limit
    let ids = try tokenizer.encode(text.replacing("[MASK]", with: spelled), addsSpecial: true).map(Int.init)
    let gaps = ids.indices.filter { ids[$0] == mask }
    guard !gaps.isEmpty else { throw UsageError("the text has no gap: write \(spelled) where something is missing") }
    guard ids.count <= limit else {
      throw UsageError("the text has \(ids.count) tokens, more than the \(limit) positions of this model")
    }
    let encoder = try running.encoder(rows: ids.count)
    let states = try encoder.run([EncoderInput(ids: ids)]).states
    let answers = try gaps.map { gap in
      let logits = try encoder.tokenLogits(states.rows(gap..<gap + 1))
      let probabilities = Matrix(rows: 1, columns: logits.columns)
      processor.softmax(logits, into: probabilities)
      return Self.largest(top, of: probabilities[0].array())
    }
    if common.json {
      return printJSON([
        "gaps": .array(
          try zip(gaps, answers).map { gap, answer in
            .object([
              "position": .integer(gap),
              "tokens": .array(
                try answer.map { token, probability in
                  .object([
                    "id": .integer(token), "token": .string(try piece(token, tokenizer)),
                    "probability": .double(Double(probability)),
                  ])
                }),
            ])
          })
      ])
    }
    var table = Table([
      .init(title: "gap", alignsRight: true), .init(title: "token", isFlexible: true),
      .init(title: "probability", alignsRight: true),
    ])
    for (number, answer) in answers.enumerated() {
      for (token, probability) in answer {
        table.add("\(number + 1)", try piece(token, tokenizer).text, Format.percent(Double(probability)))
      }
    }
    print(table.text())
  }

  /// As text; by its number where the model has more tokens than the tokenizer.
  private func piece(_ token: Int, _ tokenizer: Tokenizer) throws -> ByteString {
    guard token < tokenizer.vocabularyCount else { return ByteString("[\(token)]") }
    return ByteString(bytes: try tokenizer.decode([Int32(token)]))
  }

  private static func largest(_ count: Int, of values: [Float]) -> [(Int, Float)] {
    var best: [(Int, Float)] = []
    for (token, value) in values.enumerated() where best.count < count || value > best[best.count - 1].1 {
      let place = best.firstIndex { value > $0.1 } ?? best.count
      best.insert((token, value), at: place)
      if best.count > count { best.removeLast() }
    }
    return best
  }
}
