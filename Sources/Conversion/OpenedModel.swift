public import Bytes
public import Catalog
import GGUF
public import IR
public import SystemPackage
import Tokenizers

/// A checkpoint whose family is known: the model in the one form everything works on, and the account of its tensors.
public struct OpenedModel: Sendable {
  public let checkpoint: Checkpoint
  public let architecture: ArchitectureDescriptor
  public let model: Model
  public let report: MatchReport

  /// Opens, recognises and checks. Nothing but headers is read.
  public init(_ path: FilePath, catalog: Catalog, limits: Limits = Limits()) throws(ConversionError) {
    try self.init(Checkpoint(path, limits: limits), catalog: catalog)
  }

  /// Recognises and checks an opened checkpoint.
  public init(_ checkpoint: Checkpoint, catalog: Catalog) throws(ConversionError) {
    self.checkpoint = checkpoint
    do {
      switch checkpoint.container {
      case .gguf:
        architecture = try catalog.architecture(gguf: checkpoint.metadata)
        (model, report) = try Self.match(gguf: checkpoint, architecture)
      default:
        guard let configuration = checkpoint.configuration else {
          throw ConversionError.unrecognized(
            path: checkpoint.path,
            detail: "no config.json beside it, so its family and dimensions are unknown; put the model's there")
        }
        architecture = try catalog.architecture(configuration: configuration)
        (model, report) = try Self.match(huggingFace: checkpoint, architecture, configuration)
      }
    } catch let error as ConversionError {
      throw error
    } catch let error as CatalogError {
      if case .leftovers = error { throw .catalog(path: checkpoint.path, error) }
      throw .catalog(path: checkpoint.configurationPath, error)
    } catch {
      preconditionFailure("an error of unknown type: \(error)")
    }
  }

  private static func match(
    gguf checkpoint: Checkpoint, _ architecture: ArchitectureDescriptor
  ) throws -> (Model, MatchReport) {
    let stored = checkpoint.tensors + GGUFHeads.read(checkpoint.metadata)
    var hyperparameters = try architecture.readHyperparameters(
      from: .gguf(checkpoint.metadata, architecture: architecture.ggufArchitecture ?? ""),
      tensors: architecture.storedShapes(stored, naming: .gguf))
    try readRotaryTensors(checkpoint, architecture.ggufArchitecture ?? "", into: &hyperparameters)
    let (tensors, report) = try architecture.match(stored, naming: .gguf, hyperparameters: hyperparameters)
    var tokenizer: TokenizerModel?
    if checkpoint.metadata["tokenizer.ggml.tokens"] != nil {
      do { tokenizer = try GGUFTokenizer.read(checkpoint.metadata)?.model } catch {
        throw ConversionError.tokenizer(path: checkpoint.path, error)
      }
    }
    let model = Model(
      family: architecture.family, hyperparameters: hyperparameters, tensors: tensors, tokenizer: tokenizer,
      metadata: checkpoint.metadata)
    return (model, report)
  }

  private static func match(
    huggingFace checkpoint: Checkpoint, _ architecture: ArchitectureDescriptor, _ configuration: JSONObject
  ) throws -> (Model, MatchReport) {
    let isBare = checkpoint.container == .configuration
    let hyperparameters = try architecture.readHyperparameters(
      from: .huggingFace(configuration.completed(by: checkpoint.companions["generation_config.json"])),
      tensors: isBare ? nil : architecture.storedShapes(checkpoint.tensors, naming: .huggingFace))
    let tokenizer: TokenizerModel?
    if let json = checkpoint.companions["tokenizer.json"] {
      do {
        tokenizer = try TokenizerJSON.read(
          tokenizer: json, configuration: checkpoint.companions["tokenizer_config.json"],
          modelConfiguration: configuration,
          chatTemplate: checkpoint.companions["chat_template.jinja"])
      } catch {
        throw ConversionError.tokenizer(
          path: checkpoint.path.removingLastComponent().appending("tokenizer.json"), error)
      }
    } else if let vocabulary = checkpoint.companions["vocab.txt"] {
      do {
        tokenizer = try WordPieceVocabulary.read(
          vocabulary: vocabulary, configuration: checkpoint.companions["tokenizer_config.json"],
          modelConfiguration: configuration)
      } catch {
        throw ConversionError.tokenizer(path: checkpoint.path.removingLastComponent().appending("vocab.txt"), error)
      }
    } else {
      tokenizer = nil
    }
    if isBare {
      let tensors = architecture.instances(in: hyperparameters).map { instance in
        TensorRef(
          name: instance.name, sourceName: instance.huggingFaceNames.first, shape: instance.shape,
          format: configuration.statedFormat ?? .f16, source: AbsentTensorSource(path: checkpoint.path))
      }
      let model = Model(
        family: architecture.family, hyperparameters: hyperparameters, tensors: tensors, configuration: configuration)
      return (model, MatchReport())
    }
    let (tensors, report) = try architecture.match(
      checkpoint.tensors, naming: .huggingFace, hyperparameters: hyperparameters)
    let model = Model(
      family: architecture.family, hyperparameters: hyperparameters, tensors: tensors, tokenizer: tokenizer,
      metadata: checkpoint.metadata, configuration: configuration)
    return (model, report)
  }
}

/// Stands for weights that a bare config.json does not have.
struct AbsentTensorSource: TensorSource {
  let path: FilePath

  func read(rows: Range<Int>, into bytes: inout MutableRawSpan) throws(FileError) {
    throw .system(operation: "read weights (a configuration has none)", path: path, errno: .noSuchFileOrDirectory)
  }
}

extension [UInt8] {
  /// The bytes as little-endian F32.
  var littleEndianFloats: [Float] {
    stride(from: 0, to: count / 4 * 4, by: 4).map { at in
      Float(bitPattern: self[at..<at + 4].reversed().reduce(UInt32(0)) { bits, byte in bits << 8 | UInt32(byte) })
    }
  }
}

extension JSONObject {
  /// With what generation begins by generation_config.json, where newer releases say it.
  fileprivate func completed(by generation: [UInt8]?) -> JSONObject {
    guard let generation, let stated = try? JSONValue.parse(generation) else { return self }
    var result = self
    for key in ["decoder_start_token_id", "forced_bos_token_id"] as [ByteString] {
      if self[key] ?? .null == .null, let value = stated[key] { result[key] = value }
    }
    return result
  }

  /// `dtype` (or, in older releases, `torch_dtype`) as a format.
  var statedFormat: BlockFormat? {
    switch (self["dtype"] ?? self["torch_dtype"])?.string?.text {
    case "float32": .f32
    case "float16": .f16
    case "bfloat16": .bf16
    default: nil
    }
  }
}
