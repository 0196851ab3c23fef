import ArgumentParser
import Bytes
import Conversion
import Kernels
import Runtime
import SystemPackage

struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure prompt and generation speed.",
    discussion: "Tokens are arbitrary: speed does not depend on them. The median of the repetitions counts.")

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Option(name: .shortAndLong, help: "Tokens of the prompt.")
  var prompt = 512

  @Option(name: [.customShort("n"), .long], help: "Tokens to generate after it.")
  var generate = 64

  @Option(name: .shortAndLong, help: "Repetitions.")
  var repetitions = 5

  @Option(help: "fast or exact.")
  var arithmetic: Arithmetic = .fast

  @OptionGroup var cache: CacheOptions
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if prompt < 1 { throw ValidationError("--prompt takes at least 1, not \(prompt)") }
    if generate < 0 { throw ValidationError("--generate takes 0 or more, not \(generate)") }
    if !(1...1000).contains(repetitions) { throw ValidationError("--repetitions takes 1 to 1000, not \(repetitions)") }
  }

  func run() throws {
    let processor = try common.processor()
    let running = try RunningModel(
      OpenedModel(model, common), arithmetic: arithmetic, cache: cache, processor: processor, isQuiet: common.json)
    let vocabularySize = running.transformer.configuration.vocabularySize
    guard running.kind != .encoder, running.kind != .encoderDecoder else {
      throw UsageError("bench measures models that continue a text; this one does not: see quern embed")
    }
    let session = try running.session(capacity: max(prompt, generate))
    let tokens = (0..<max(prompt, generate)).map { ($0 * 7919 + 17) % vocabularySize }
    var promptRates: [Double] = []
    var generationRates: [Double] = []
    // The first repetition warms caches and does not count.
    for repetition in 0...repetitions {
      session.reset()
      var start = Clock.now()
      try session.append(Array(tokens[..<prompt]))
      _ = session.lastLogits()
      if repetition > 0 { promptRates.append(Double(prompt) / (Clock.now() - start)) }
      guard generate > 0 else { continue }
      session.reset()
      start = Clock.now()
      for token in tokens[..<generate] {
        try session.append([token])
        _ = session.lastLogits()
      }
      if repetition > 0 { generationRates.append(Double(generate) / (Clock.now() - start)) }
    }
    let median = { (values: [Double]) in values.sorted()[values.count / 2] }
    if common.json {
      return printJSON([
        "model": .text(model.string), "isa": .text(processor.kernels.name), "threads": .integer(processor.pool.threads),
        "kv": .text(running.transformer.cacheElement.rawValue),
        "weightBytes": .integer(running.transformer.weightByteCount), "promptTokens": .integer(prompt),
        "generatedTokens": .integer(generate), "promptTokensPerSecond": .double(median(promptRates)),
        "tokensPerSecond": generationRates.isEmpty ? .null : .double(median(generationRates)),
        "peakResidentBytes": .integer(Environment.peakResidentBytes),
        "promptRates": .array(promptRates.map { .double($0) }), "rates": .array(generationRates.map { .double($0) }),
      ])
    }
    var table = Table([
      .init(title: "what"), .init(title: "tokens", alignsRight: true), .init(title: "tokens/s", alignsRight: true),
    ])
    table.add("prompt", "\(prompt)", Format.fixed(median(promptRates), 1))
    if !generationRates.isEmpty { table.add("generation", "\(generate)", Format.fixed(median(generationRates), 1)) }
    print(
      "\(model): \(processor.kernels.name), \(processor.pool.threads) threads, \(Format.bytes(running.transformer.weightByteCount)) of weights\n"
    )
    print(table.text())
  }
}
