import ArgumentParser
import Bytes
import Conversion
import Kernels
import Runtime
import SystemPackage
import Tokenizers

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Generate text.",
    discussion: """
      Greedy unless --temperature is above 0; the same seed gives the same text on every machine. Decoders continue \
      the prompt; encoder-decoders (T5, BART) answer it.

        quern run model.gguf -p "In the beginning"
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Option(name: .shortAndLong, help: "The text to continue.")
  var prompt: String

  @Option(name: [.customShort("n"), .long], help: "The most tokens to generate.")
  var tokens = 64

  @Option(help: "0 is greedy; larger is more varied.")
  var temperature = 0.0

  @Option(help: "Consider only this many of the most likely tokens.")
  var topK = 40

  @Option(help: "Consider only the most likely tokens with this much probability in all.")
  var topP = 0.95

  @Option(help: "For choices at a temperature above 0.")
  var seed: UInt64 = 0

  @Flag(help: "Do not stop at the end-of-sequence token.")
  var ignoreEnd = false

  @Option(help: "fast (int8 inputs where weights are packed) or exact.")
  var arithmetic: Arithmetic = .fast

  @OptionGroup var cache: CacheOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if !(1...1 << 32).contains(tokens) {
      throw ValidationError("--tokens takes at least 1 (at most 2^32), not \(tokens)")
    }
    if !(temperature >= 0 && temperature.isFinite) {
      throw ValidationError("--temperature takes 0 or more, not \(temperature)")
    }
    if topK < 1 { throw ValidationError("--top-k takes at least 1, not \(topK)") }
    if !(topP > 0 && topP <= 1) { throw ValidationError("--top-p takes a share above 0 and at most 1, not \(topP)") }
  }

  func run() throws {
    let processor = try common.processor()
    let opened = try OpenedModel(model, common)
    let tokenizer = try opened.tokenizer()
    let running = try RunningModel(
      opened, arithmetic: arithmetic, cache: cache, processor: processor, isQuiet: common.json)
    let input = try PromptTokens(prompt, tokenizer: tokenizer, running: running)
    let session = try running.session(capacity: input.start.count + tokens, source: input.source?.count ?? 0)
    warn(trained: running.transformer.configuration.contextLength, input)
    var sampler = Sampler(temperature: temperature, topK: topK, topP: topP, seed: seed)
    var decoder = tokenizer.makeStreamingDecoder()
    let promptStart = Clock.now()
    if let source = input.source { try session.setSource(source) }
    try session.append(input.start)
    let generationStart = Clock.now()
    var generated: [Int] = []
    var output: [UInt8] = []
    // An encoder–decoder answers; it does not continue.
    if !common.json, input.source == nil { Terminal.standardOutput(Array(prompt.utf8)) }
    while generated.count < tokens {
      let next = sampler.pick(session.lastLogits())
      if next == tokenizer.model.eosID, !ignoreEnd { break }
      generated.append(next)
      let bytes = try decoder.append(Int32(next))
      output += bytes
      if !common.json { Terminal.standardOutput(bytes) }
      if generated.count < tokens { try session.append([next]) }
    }
    let rest = decoder.finish()
    output += rest
    let end = Clock.now()
    let rates = (
      prompt: Double(input.count) / max(1e-9, generationStart - promptStart),
      generation: Double(generated.count) / max(1e-9, end - generationStart)
    )
    if common.json {
      return printJSON([
        "text": .string(ByteString(bytes: output)), "promptTokens": .integer(input.count),
        "tokens": .array(generated.map { .integer($0) }), "promptTokensPerSecond": .double(rates.prompt),
        "peakResidentBytes": .integer(Environment.peakResidentBytes),
        "tokensPerSecond": .double(rates.generation),
      ])
    }
    Terminal.standardOutput(rest + [UInt8(ascii: "\n")])
    if Terminal.errorIsTerminal {
      Terminal.standardError(
        "\n\(input.count) prompt tokens at \(Format.fixed(rates.prompt, 1))/s, \(generated.count) tokens at "
          + "\(Format.fixed(rates.generation, 1))/s\n")
    }
  }

  private func warn(trained: Int, _ input: PromptTokens) {
    guard trained > 0, input.count + tokens > trained else { return }
    Terminal.standardError(
      "quern: warning: \(input.count) prompt tokens and \(tokens) more exceed the \(trained) that the model was trained on\n"
    )
  }
}

/// A prompt as a model takes it: to be continued, or as the source that a decoder answers.
private struct PromptTokens {
  /// Of an encoder–decoder.
  let source: [Int]?
  /// What the first generated token follows.
  let start: [Int]

  var count: Int { source?.count ?? start.count }

  init(_ prompt: String, tokenizer: Tokenizer, running: RunningModel) throws {
    var ids = try tokenizer.encode(prompt, addsSpecial: true).map(Int.init)
    if ids.isEmpty, let beginning = tokenizer.model.bosID { ids = [beginning] }
    guard !ids.isEmpty else { throw UsageError("an empty --prompt gives the model nothing to continue") }
    guard running.kind == .encoderDecoder else {
      source = nil
      start = ids
      return
    }
    source = ids
    // T5 and BART begin with what the configuration says; where it says nothing, with padding, as T5 was trained.
    let configuration = running.transformer.configuration
    let first = configuration.decoderStartToken ?? tokenizer.model.paddingID ?? tokenizer.model.bosID ?? 0
    start = [first] + (configuration.forcedFirstToken.map { [$0] } ?? [])
  }
}
