public import Bytes
public import IR
import PyTorch
public import QuantizedWeights
import Safetensors
public import SystemPackage

/// An opened container, before any family is matched: raw tensors, raw configuration.
public struct Checkpoint: Sendable {
  public typealias Container = Conversion.Container

  public let path: FilePath
  public let container: Container
  /// Of all files that hold tensors.
  public let fileByteCount: Int
  /// Under the file's own names.
  public let tensors: [TensorRef]
  /// Those of them that the file holds packed and that are decoded when read, by name.
  public let packed: [ByteString: QuantizedWeights.Stored]
  /// GGUF's, or the safetensors headers' own.
  public let metadata: Metadata
  public let configuration: JSONObject?
  /// What the container holds and no tensor shows, in a few words each.
  public let notes: [String]
  /// Small files beside the weights that a Hugging Face output takes over, by name.
  public let companions: [String: [UInt8]]

  /// Opens a Hugging Face directory, one of its files, a GGUF file or a config.json; what it is, its content says.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(ConversionError) {
    // TensorFlow's users call a checkpoint by what its files' names begin with.
    let index = path.removingLastComponent().appending((path.lastComponent?.string ?? "") + ".index")
    if !FileSystem.exists(path), FileSystem.exists(index) {
      self = try Self.open(file: index, limits: limits)
      return
    }
    self =
      try FileSystem.isDirectory(path)
      ? Self.open(directory: path, limits: limits) : Self.open(file: path, limits: limits)
  }

  /// The index beside a shard, which stands for the whole model.
  private static func index(ofShard path: FilePath) -> FilePath? {
    let part = /-\d{5}-of-\d{5}(\.safetensors|\.bin)$/
    guard let name = path.lastComponent?.string, let match = name.firstMatch(of: part) else { return nil }
    let index = path.removingLastComponent().appending(name[..<match.range.lowerBound] + match.1 + ".index.json")
    return FileSystem.exists(index) ? index : nil
  }

  private static func open(file path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint {
    if let index = index(ofShard: path) { return try open(file: index, limits: limits) }
    let start: FileStart
    do { start = try FileStart(InputFile(path)) } catch { throw .file(error) }
    if let row = ContainerTable.row(for: start) {
      // A part of Meta's checkpoint stands for all of them.
      let folder = path.removingLastComponent()
      if row.container == .pytorch, MetaShards.isShard(path.lastComponent?.string ?? ""),
        FileSystem.exists(folder.appending("params.json"))
      {
        return try open(directory: folder, limits: limits)
      }
      return try open(row, path, limits: limits)
    }
    if start.head.first(where: { !" \n\r\t".utf8.contains($0) }) == UInt8(ascii: "{") {
      let json = try readObject(path, limits: limits)
      if json["weight_map"] != nil {
        if path.lastComponent?.string.hasSuffix(".bin.index.json") == true {
          return try open(pytorchIndex: path, limits: limits)
        }
        return try open(safetensorsIndex: path, limits: limits)
      }
      if json["model_type"] == nil, let message = json["error"]?.string {
        throw .unrecognized(path: path, detail: ForeignFile.description(ofServersError: message))
      }
      return try Checkpoint(
        path: path, container: .configuration, contents: ContainerContents(tensors: [], fileByteCount: 0),
        configuration: json, companions: [:])
    }
    throw .unrecognized(path: path, detail: ForeignFile.description(of: start.head, at: path))
  }

  private static func open(directory path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint {
    let names = FileSystem.names(in: path)
    if names.contains(SafetensorsLayout.indexName) {
      return try open(safetensorsIndex: path.appending(SafetensorsLayout.indexName), limits: limits)
    }
    let files = names.filter { $0.hasSuffix(".safetensors") }
    if !files.contains("model.safetensors") {
      if names.contains(PyTorchIndex.fileName) {
        return try open(pytorchIndex: path.appending(PyTorchIndex.fileName), limits: limits)
      }
      if names.contains("pytorch_model.bin") {
        return try open(file: path.appending("pytorch_model.bin"), limits: limits)
      }
      if names.contains("params.json"), names.contains(where: MetaShards.isShard) {
        return try open(metaShards: path, names: names.filter(MetaShards.isShard), limits: limits)
      }
    }
    if let file = files.first(where: { $0 == "model.safetensors" }) ?? (files.count == 1 ? files.first : nil) {
      return try open(file: path.appending(file), limits: limits)
    }
    if files.isEmpty, let file = singleGGUF(names) { return try open(file: path.appending(file), limits: limits) }
    for name in Self.usualNames where names.contains(name) {
      return try open(file: path.appending(name), limits: limits)
    }
    let others = names.filter { name in
      Self.usualEndings.contains { name.hasSuffix($0) } && !Self.trainingState.contains { name.hasPrefix($0) }
    }
    if others.count == 1, !names.contains(where: { $0.hasSuffix(".safetensors") || $0.hasSuffix(".gguf") }) {
      return try open(file: path.appending(others[0]), limits: limits)
    }
    // TensorFlow's SavedModel keeps its weights one folder below.
    let variables = path.appending("variables").appending("variables.index")
    if names.contains("saved_model.pb"), FileSystem.exists(variables) {
      return try open(file: variables, limits: limits)
    }
    let seen =
      names.isEmpty
      ? "it is empty" : "it holds \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", …" : "")"
    throw .unrecognized(
      path: path,
      detail: "no model.safetensors, \(SafetensorsLayout.indexName), pytorch_model.bin or single .gguf file in this "
        + "directory; \(seen); name the file that is meant")
  }

  /// The only GGUF model of a directory: one file, or the first part of the only split one.
  private static func singleGGUF(_ names: [String]) -> String? {
    let files = names.filter { $0.hasSuffix(".gguf") }
    if files.count < 2 { return files.first }
    let pattern = /-(\d{5})-of-(\d{5})\.gguf$/
    let stems = Set(files.map { $0.replacing(pattern, with: "") })
    guard stems.count == 1, files.allSatisfy({ $0.contains(pattern) }) else { return nil }
    return files.first
  }

  private static func open(_ row: ContainerRow, _ path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint
  {
    let contents = try row.open(path, limits)
    if row.container == .gguf {
      return try Checkpoint(path: path, container: .gguf, contents: contents, configuration: nil, companions: [:])
    }
    return try Checkpoint(path: path, container: row.container, contents: contents, limits: limits)
  }

  private static func open(safetensorsIndex path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint {
    let contents: ContainerContents
    do {
      let index = try SafetensorsIndex(path, limits: limits)
      contents = ContainerContents(
        tensors: index.tensors, metadata: index.metadata,
        fileByteCount: index.shards.reduce(0) { $0 + $1.file.byteCount })
    } catch { throw .safetensors(error) }
    return try Checkpoint(path: path, container: .safetensors, contents: contents, limits: limits)
  }

  private static func open(pytorchIndex path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint {
    let contents: ContainerContents
    do {
      let index = try PyTorchIndex(path, limits: limits)
      contents = ContainerContents(
        tensors: index.tensors, fileByteCount: index.shards.reduce(0) { $0 + $1.file.byteCount })
    } catch { throw .pytorch(error) }
    return try Checkpoint(path: path, container: .pytorch, contents: contents, limits: limits)
  }

  private static func open(
    metaShards folder: FilePath, names: [String], limits: Limits
  ) throws(ConversionError) -> Checkpoint {
    let parameters = try readObject(folder.appending("params.json"), limits: limits)
    let shards: MetaShards
    do {
      shards = try MetaShards(names.map { folder.appending($0) }, parameters: parameters, limits: limits)
    } catch { throw .pytorch(error) }
    return try Checkpoint(
      path: folder.appending(names.first ?? ""), container: .pytorch, contents: shards.contents,
      configuration: shards.configuration, companions: [:])
  }

  /// With the configuration and the tokenizer's files that Hugging Face puts beside the weights.
  private init(
    path: FilePath, container: Container, contents: ContainerContents, limits: Limits
  ) throws(ConversionError) {
    let folder = path.removingLastComponent()
    let configurationPath = folder.appending("config.json")
    let configuration =
      FileSystem.exists(configurationPath) ? try Self.readObject(configurationPath, limits: limits) : nil
    var companions: [String: [UInt8]] = [:]
    for name in Self.companionNames where FileSystem.exists(folder.appending(name)) {
      do {
        companions[name] = try InputFile.contents(of: folder.appending(name), limit: limits.headerByteCount)
      } catch { throw .file(error) }
    }
    try self.init(
      path: path, container: container, contents: contents, configuration: configuration, companions: companions)
  }

  private init(
    path: FilePath, container: Container, contents: ContainerContents, configuration: JSONObject?,
    companions: [String: [UInt8]]
  ) throws(ConversionError) {
    let place = ContainerError.Place(path, container.rawValue)
    let weights: QuantizedWeights
    do { weights = try QuantizedWeights(contents.tensors, configuration: configuration, at: place) } catch {
      throw .container(error)
    }
    self.path = path
    self.container = container
    fileByteCount = contents.fileByteCount
    tensors = weights.tensors
    packed = weights.stored
    metadata = contents.metadata
    notes = contents.notes + weights.notes
    var configuration = configuration
    if !weights.isEmpty {
      // What is written from here on is no longer quantized that way.
      for key in ["quantization_config", "quantization"] as [ByteString] { configuration?[key] = nil }
    }
    self.configuration = configuration
    self.companions = companions
  }

  /// The file that says what family and which dimensions.
  public var configurationPath: FilePath {
    switch container {
    case .gguf, .configuration: path
    default: path.removingLastComponent().appending("config.json")
    }
  }

  static let companionNames = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "vocab.json",
    "vocab.txt",
    "merges.txt", "chat_template.jinja",
  ]

  /// Weights that libraries other than transformers put into a directory, most telling first.
  private static let usualNames = [
    "model.onnx", "model.bin", "flax_model.msgpack", "tf_model.h5", "variables.index", "model.pdparams", "model.ckpt",
  ]

  /// Of weights under any name: one such file in a directory is meant.
  private static let usualEndings = [
    ".onnx", ".index", ".h5", ".hdf5", ".keras", ".msgpack", ".npz", ".pth", ".pt", ".ckpt", ".pdparams", ".pdiparams",
  ]

  /// What trainers leave beside weights.
  private static let trainingState = ["optimizer", "scheduler", "scaler", "rng_state", "training_args"]

  private static func readObject(_ path: FilePath, limits: Limits) throws(ConversionError) -> JSONObject {
    let bytes: [UInt8]
    do { bytes = try InputFile.contents(of: path, limit: limits.headerByteCount) } catch { throw .file(error) }
    do throws(JSONError) {
      guard let object = try JSONValue.parse(bytes, limits: limits).object else {
        throw .unexpected(found: "another value", expected: "an object", offset: 0)
      }
      return object
    } catch { throw .json(path: path, error) }
  }
}
