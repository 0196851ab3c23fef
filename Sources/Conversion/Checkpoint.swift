public import Bytes
import GGUF
public import IR
import PyTorch
import Safetensors
public import SystemPackage

/// An opened container, before any family is matched: raw tensors, raw configuration.
public struct Checkpoint: Sendable {
  public enum Container: String, Sendable {
    case safetensors
    case gguf
    /// What torch.save writes; never an output.
    case pytorch
    /// A config.json alone: shapes without weights.
    case configuration
  }

  public let path: FilePath
  public let container: Container
  /// Of all files that hold tensors.
  public let fileByteCount: Int
  /// Under the file's own names.
  public let tensors: [TensorRef]
  /// GGUF's, or the safetensors headers' own.
  public let metadata: Metadata
  public let configuration: JSONObject?
  /// Small files beside the weights that a Hugging Face output takes over, by name.
  public let companions: [String: [UInt8]]

  /// Opens a Hugging Face directory, one of its files, a GGUF file or a config.json; what it is, its content says.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(ConversionError) {
    self =
      try FileSystem.isDirectory(path)
      ? Self.open(directory: path, limits: limits) : Self.open(file: path, limits: limits)
  }

  private static func open(file path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint {
    let head: [UInt8]
    do {
      let file = try InputFile(path)
      head = try file.read(at: 0, count: min(16, file.byteCount))
    } catch { throw .file(error) }
    if head.starts(with: Array("GGUF".utf8)) { return try open(gguf: path, limits: limits) }
    if head.count > 8, head[8] == UInt8(ascii: "{") {
      return try open(safetensors: path, in: path.removingLastComponent(), limits: limits)
    }
    if head.starts(with: Array("PK".utf8)) || head.first == 0x80 {
      return try open(pytorch: path, in: path.removingLastComponent(), limits: limits)
    }
    if head.first(where: { !" \n\r\t".utf8.contains($0) }) == UInt8(ascii: "{") {
      let json = try readObject(path, limits: limits)
      if json["weight_map"] != nil {
        if path.lastComponent?.string.hasSuffix(".bin.index.json") == true {
          return try open(pytorch: path, in: path.removingLastComponent(), limits: limits)
        }
        return try open(safetensors: path, in: path.removingLastComponent(), limits: limits)
      }
      return Checkpoint(
        path: path, container: .configuration, fileByteCount: 0, tensors: [], metadata: Metadata(), configuration: json,
        companions: [:])
    }
    throw .unrecognized(
      path: path, detail: "neither GGUF nor safetensors nor a config.json; it starts with \(shown(head))")
  }

  private static func open(directory path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint {
    let names = FileSystem.names(in: path)
    if names.contains(SafetensorsLayout.indexName) {
      return try open(safetensors: path.appending(SafetensorsLayout.indexName), in: path, limits: limits)
    }
    let files = names.filter { $0.hasSuffix(".safetensors") }
    let pickled = [PyTorchIndex.fileName, "pytorch_model.bin"].first(where: names.contains)
    if let pickled, !files.contains("model.safetensors") {
      return try open(pytorch: path.appending(pickled), in: path, limits: limits)
    }
    if let file = files.first(where: { $0 == "model.safetensors" }) ?? (files.count == 1 ? files.first : nil) {
      return try open(safetensors: path.appending(file), in: path, limits: limits)
    }
    if files.isEmpty, names.filter({ $0.hasSuffix(".gguf") }).count == 1,
      let file = names.first(where: { $0.hasSuffix(".gguf") })
    {
      return try open(file: path.appending(file), limits: limits)
    }
    let seen =
      names.isEmpty
      ? "it is empty" : "it holds \(names.prefix(8).joined(separator: ", "))\(names.count > 8 ? ", …" : "")"
    throw .unrecognized(
      path: path,
      detail: "no model.safetensors, \(SafetensorsLayout.indexName), pytorch_model.bin or single .gguf file in this "
        + "directory; \(seen)")
  }

  private static func open(gguf path: FilePath, limits: Limits) throws(ConversionError) -> Checkpoint {
    do {
      let file = try GGUFFile(path, limits: limits)
      return Checkpoint(
        path: path, container: .gguf, fileByteCount: file.parts.reduce(0) { $0 + $1.file.byteCount },
        tensors: file.tensors, metadata: file.metadata,
        configuration: nil, companions: [:])
    } catch { throw .gguf(error) }
  }

  private static func open(
    safetensors path: FilePath, in folder: FilePath, limits: Limits
  ) throws(ConversionError) -> Checkpoint {
    let tensors: [TensorRef]
    let metadata: Metadata
    let byteCount: Int
    do {
      if path.lastComponent?.string.hasSuffix(".json") == true {
        let index = try SafetensorsIndex(path, limits: limits)
        (tensors, metadata) = (index.tensors, index.metadata)
        byteCount = index.shards.reduce(0) { $0 + $1.file.byteCount }
      } else {
        let file = try SafetensorsFile(path, limits: limits)
        (tensors, metadata, byteCount) = (file.tensors, file.metadata, file.file.byteCount)
      }
    } catch { throw .safetensors(error) }
    return try Checkpoint(
      path: path, container: .safetensors, fileByteCount: byteCount, tensors: tensors, metadata: metadata,
      companionsIn: folder, limits: limits)
  }

  private static func open(
    pytorch path: FilePath, in folder: FilePath, limits: Limits
  ) throws(ConversionError) -> Checkpoint {
    let tensors: [TensorRef]
    let byteCount: Int
    do {
      if path.lastComponent?.string.hasSuffix(".json") == true {
        let index = try PyTorchIndex(path, limits: limits)
        (tensors, byteCount) = (index.tensors, index.shards.reduce(0) { $0 + $1.file.byteCount })
      } else {
        let file = try PyTorchFile(path, limits: limits)
        (tensors, byteCount) = (file.tensors, file.file.byteCount)
      }
    } catch { throw .pytorch(error) }
    return try Checkpoint(
      path: path, container: .pytorch, fileByteCount: byteCount, tensors: tensors, metadata: Metadata(),
      companionsIn: folder, limits: limits)
  }

  /// With the configuration and the tokenizer's files that Hugging Face puts beside the weights.
  private init(
    path: FilePath, container: Container, fileByteCount: Int, tensors: [TensorRef], metadata: Metadata,
    companionsIn folder: FilePath, limits: Limits
  ) throws(ConversionError) {
    let configurationPath = folder.appending("config.json")
    let configuration =
      FileSystem.exists(configurationPath) ? try Self.readObject(configurationPath, limits: limits) : nil
    var companions: [String: [UInt8]] = [:]
    for name in Self.companionNames where FileSystem.exists(folder.appending(name)) {
      do {
        companions[name] = try InputFile.contents(of: folder.appending(name), limit: limits.headerByteCount)
      } catch { throw .file(error) }
    }
    self.init(
      path: path, container: container, fileByteCount: fileByteCount, tensors: tensors, metadata: metadata,
      configuration: configuration, companions: companions)
  }

  private init(
    path: FilePath, container: Container, fileByteCount: Int, tensors: [TensorRef], metadata: Metadata,
    configuration: JSONObject?, companions: [String: [UInt8]]
  ) {
    self.path = path
    self.container = container
    self.fileByteCount = fileByteCount
    self.tensors = tensors
    self.metadata = metadata
    self.configuration = configuration
    self.companions = companions
  }

  /// The file that says what family and which dimensions.
  public var configurationPath: FilePath {
    switch container {
    case .safetensors, .pytorch: path.removingLastComponent().appending("config.json")
    case .gguf, .configuration: path
    }
  }

  static let companionNames = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "vocab.json",
    "merges.txt", "chat_template.jinja",
  ]

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

  private static func shown(_ head: [UInt8]) -> String {
    head.isEmpty ? "nothing: it is empty" : head.prefix(8).map { "0x" + String($0, radix: 16) }.joined(separator: " ")
  }
}
