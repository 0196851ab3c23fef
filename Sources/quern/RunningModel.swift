public import ArgumentParser
import Conversion
import Kernels
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

/// An opened model brought into memory.
struct RunningModel {
  let opened: OpenedModel
  let transformer: Transformer

  init(_ path: FilePath, arithmetic: Arithmetic, processor: Processor, isQuiet: Bool = false) throws {
    try self.init(OpenedModel(path), arithmetic: arithmetic, processor: processor, isQuiet: isQuiet)
  }

  init(_ opened: OpenedModel, arithmetic: Arithmetic, processor: Processor, isQuiet: Bool = false) throws {
    self.opened = opened
    guard opened.checkpoint.container != .configuration else {
      throw ConversionError.unrecognized(
        path: opened.checkpoint.path, detail: "a configuration has no weights to compute with")
    }
    let progress = Progress("load", total: opened.model.tensorByteCount, unit: .bytes, isShown: !isQuiet)
    do {
      transformer = try Transformer(
        opened.model, graph: opened.architecture.graph, arithmetic: arithmetic, processor: processor
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

  /// A sequence of at most `capacity` tokens.
  /// - Throws: when its cache and buffers exceed this machine's memory.
  func session(capacity: Int) throws(UsageError) -> Session {
    let needed = Session.byteCount(for: transformer, capacity: capacity)
    let memory = Environment.memoryBytes
    guard needed < Double(memory) else {
      let size = needed < 1e18 ? Format.bytes(Int(needed)) : "more memory than there is"
      throw UsageError(
        "\(Format.grouped(capacity)) tokens need \(size) for their cache and buffers; this machine has \(Format.bytes(memory)) of memory"
      )
    }
    return Session(transformer, capacity: capacity)
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
