public import ArgumentParser
import Bytes
import Catalog
import Conversion
public import Kernels
public import Runtime
import SystemPackage
import Tokenizers

/// How to compute with a model.
struct ArithmeticOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "fast (int8 inputs where weights are packed) or exact (decoded weights, F32 arithmetic).", valueName: "mode"))
  var arithmetic: Arithmetic = .fast
}

extension Arithmetic: ExpressibleByArgument {}

/// What a model that generates keeps of the tokens it has seen.
struct CacheOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Type of the KV cache (default: f32 with exact arithmetic, else f16). q8_0 takes 53 % of f16's memory, q4_0 28 %; \
      quern verify MODEL MODEL --kv TYPE says what it costs.
      """, valueName: "type"))
  var kv: KeyValueCache.Element?

  static let refusal = "--kv is for models that generate; this one encodes, and keeps no keys and values"
}

extension KeyValueCache.Element: ExpressibleByArgument {
  public init?(argument: String) { self.init(rawValue: argument.lowercased()) }
}

/// An opened model brought into memory.
struct RunningModel {
  let opened: OpenedModel
  let transformer: Transformer

  /// - Throws: for a cache where there will be none, and what loading throws.
  init(
    _ opened: OpenedModel, arithmetic: Arithmetic, cache: CacheOptions? = nil, processor: Processor,
    isQuiet: Bool = false
  ) throws {
    self.opened = opened
    if cache?.kv != nil, opened.architecture.graph.kind == .encoder {
      throw UsageError(CacheOptions.refusal)
    }
    guard opened.checkpoint.container != .configuration else {
      throw ConversionError.unrecognized(
        path: opened.checkpoint.path, detail: "a configuration has no weights to compute with")
    }
    let progress = Progress("load", total: opened.model.tensorByteCount, unit: .bytes, isShown: !isQuiet)
    do {
      transformer = try Transformer(
        opened.model, graph: opened.architecture.graph, arithmetic: arithmetic, cache: cache?.kv, processor: processor
      ) { progress.advance($0) }
    } catch .catalog(let error) {
      throw ConversionError.catalog(path: opened.checkpoint.configurationPath, error)
    } catch .file(let error) {
      throw ConversionError.file(error)
    } catch {
      throw ConversionError.unrecognized(path: opened.checkpoint.path, detail: "\(error)")
    }
    progress.finish()
  }

  var kind: Graph.Kind { transformer.configuration.graph.kind }

  /// A sequence of at most `capacity` tokens, for an encoder–decoder after a source of `source` tokens.
  /// - Throws: for an encoder, or when the cache and buffers exceed this machine's memory.
  func session(capacity: Int, source: Int = 0) throws(UsageError) -> Session {
    guard kind != .encoder else {
      throw UsageError("this model encodes text and does not continue it: see quern embed and quern fill-mask")
    }
    try checkMemory(
      Session.byteCount(for: transformer, capacity: capacity, source: source),
      for: "\(Format.grouped(capacity)) tokens need", "for their cache and buffers")
    return Session(transformer, capacity: capacity)
  }

  /// An encoder of batches of at most `rows` tokens.
  /// - Throws: for a decoder, or when the buffers exceed this machine's memory.
  func encoder(rows: Int) throws(UsageError) -> Encoder {
    guard kind == .encoder else { throw UsageError("this model continues text and does not encode it: see quern run") }
    try checkMemory(
      Encoder.byteCount(for: transformer, rows: rows), for: "\(Format.grouped(rows)) tokens at once need",
      "for their buffers")
    return Encoder(transformer, rows: rows)
  }

  private func checkMemory(_ needed: Double, for what: String, _ purpose: String) throws(UsageError) {
    let memory = Environment.memoryBytes
    guard needed < Double(memory) else {
      let size = needed < 1e18 ? Format.bytes(Int(needed)) : "more memory than there is"
      throw UsageError("\(what) \(size) \(purpose); this machine has \(Format.bytes(memory)) of memory")
    }
  }

  /// The model's tokenizer, or an error that says that it has none.
  func tokenizer() throws -> Tokenizer { try opened.tokenizer() }
}

extension OpenedModel {
  func tokenizer() throws -> Tokenizer {
    guard let model = model.tokenizer else {
      throw ConversionError.unrecognized(
        path: checkpoint.path, detail: "it has no tokenizer; put its tokenizer.json beside it")
    }
    do { return try Tokenizer(model) } catch { throw ConversionError.tokenizer(path: checkpoint.path, error) }
  }
}

extension Tokenizer {
  /// The token that stands for a gap; where the source does not say which one it is, that of the usual spelling.
  var maskToken: Int? {
    let spellings: Set<ByteString> = ["[MASK]", "<mask>"]
    return model.specialIDs[.mask] ?? model.tokens.firstIndex { spellings.contains($0.piece) }
  }
}
