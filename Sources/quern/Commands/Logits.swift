import ArgumentParser
import Bytes
import Conversion
import IR
import Kernels
import Runtime
import SystemPackage

struct LogitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Write a model's raw outputs for given token ids, for tests and debugging.",
    discussion: """
      IN holds input_ids [batch, tokens] (I32 or I64), for encoder-decoders decoder_input_ids as well, for encoders \
      token_type_ids and task_type_ids where wanted. OUT will hold logits in F32: [batch, tokens, vocabulary] from \
      language models, masked or not, [batch, tokens] from discriminators, [batch, labels] from classifiers. An encoder \
      without a head gives last_hidden_state, and pooler_output where it has a pooler.
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Option(help: "A safetensors file with input_ids.")
  var ids: FilePath

  @Option(name: [.short, .customLong("output")], help: "The safetensors file to write.")
  var output: FilePath

  @Option(help: "exact (decoded weights, F32 arithmetic) or fast.")
  var arithmetic: Arithmetic = .exact

  @Flag(help: "Replace an existing output file.")
  var force = false

  @OptionGroup var cache: CacheOptions
  @OptionGroup var common: CommonOptions

  func run() throws {
    let processor = try common.processor()
    let input = try TokenFile(ids)
    let sequences = try input.required("input_ids")
    let running = try RunningModel(
      OpenedModel(model, common), arithmetic: arithmetic, cache: cache, processor: processor, isQuiet: common.json)
    try input.check(
      sequences, "input_ids", vocabularySize: running.transformer.configuration.vocabularySize)
    let written =
      running.kind == .encoder ? try encode(running, sequences, input) : try generate(running, sequences, input)
    if common.json {
      var tensors = JSONObject()
      for (name, shape) in written { tensors[name] = .array(shape.dimensions.map { .integer($0) }) }
      return printJSON([
        "output": .text(output.string), "shape": tensors.members[0].value, "tensors": .object(tensors),
      ])
    }
    print("\(output): " + written.map { "\($0.name) \($0.shape)" }.joined(separator: ", "))
  }

  private typealias Tensors = [(name: ByteString, shape: Shape)]

  private func shape(_ dimensions: Int...) throws -> Shape {
    guard let shape = Shape(dimensions) else { throw UsageError("\(ids): the outputs would be too large") }
    return shape
  }

  /// Decoders, and encoder–decoders with `input_ids` as their source.
  private func generate(_ running: RunningModel, _ sequences: [[Int]], _ input: TokenFile) throws -> Tensors {
    let hasSource = running.kind == .encoderDecoder
    let vocabularySize = running.transformer.configuration.vocabularySize
    let targets = hasSource ? try input.required("decoder_input_ids") : sequences
    try input.check(targets, "decoder_input_ids", vocabularySize: vocabularySize)
    guard targets.count == sequences.count else {
      throw ConversionError.unrecognized(path: ids, detail: "input_ids and decoder_input_ids have different batches")
    }
    let length = targets[0].count
    let session = try running.session(capacity: length, source: hasSource ? sequences[0].count : 0)
    let tensors: Tensors = [("logits", try shape(targets.count, length, vocabularySize))]
    let file = try FloatTensorFile(output, tensors: tensors, overwrites: force)
    for (source, target) in zip(sequences, targets) {
      session.reset()
      if hasSource { try session.setSource(source) }
      var failure: (any Error)?
      try session.append(target) { batch in
        do {
          for first in stride(from: 0, to: batch.count, by: Session.logitsBatch) {
            let rows = session.logits(rows: first..<min(first + Session.logitsBatch, batch.count))
            try file.append(rows, to: "logits")
          }
        } catch { failure = failure ?? error }
      }
      if let failure { throw failure }
    }
    try file.commit()
    return tensors
  }

  private func encode(_ running: RunningModel, _ sequences: [[Int]], _ input: TokenFile) throws -> Tensors {
    let types = try input.optional("token_type_ids", like: sequences)
    let tasks = try input.optional("task_type_ids", like: sequences)
    let length = sequences[0].count
    let encoder = try running.encoder(rows: length)
    let vocabularySize = running.transformer.configuration.vocabularySize
    let width = running.transformer.configuration.width
    let count = sequences.count
    var tensors: Tensors
    switch encoder.output {
    case .maskedTokens: tensors = [("logits", try shape(count, length, vocabularySize))]
    case .replacedTokens: tensors = [("logits", try shape(count, length))]
    case .classes: tensors = [("logits", try shape(count, encoder.labelCount))]
    case .states:
      tensors = [("last_hidden_state", try shape(count, length, width))]
      if encoder.hasPooler { tensors.append(("pooler_output", try shape(count, width))) }
    }
    let file = try FloatTensorFile(output, tensors: tensors, overwrites: force)
    for index in sequences.indices {
      let batch = try encoder.run([
        EncoderInput(ids: sequences[index], types: types?[index], tasks: tasks?[index])
      ])
      switch encoder.output {
      case .maskedTokens:
        for first in stride(from: 0, to: length, by: Session.logitsBatch) {
          let rows = first..<min(first + Session.logitsBatch, length)
          try file.append(try encoder.tokenLogits(batch.states.rows(rows)), to: "logits")
        }
      case .replacedTokens: try file.append(try encoder.replacementLogits(batch.states), to: "logits")
      case .classes: try file.append(try encoder.classLogits(batch), to: "logits")
      case .states:
        try file.append(batch.states, to: "last_hidden_state")
        if encoder.hasPooler { try file.append(try encoder.pooled(batch), to: "pooler_output") }
      }
    }
    try file.commit()
    return tensors
  }
}
