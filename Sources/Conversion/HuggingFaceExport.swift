import Bytes
import Catalog
public import IR
import Tokenizers

/// A model in the names and files that transformers expects.
public struct HuggingFaceExport: Sendable {
  public internal(set) var tensors: [TensorRef]
  /// Everything but the weights, by file name.
  public internal(set) var files: [String: [UInt8]]
  public let warnings: [String]

  public init(_ opened: OpenedModel, model: Model) throws(ConversionError) {
    do { tensors = try opened.architecture.huggingFaceTensors(of: model) } catch {
      throw .inexpressible("\(error)")
    }
    if let tensor = tensors.first(where: { $0.format.safetensorsName == nil }) {
      throw .inexpressible(
        "\(tensor.name) is \(tensor.format.name), which safetensors cannot hold; write a .gguf (--to gguf), or convert with --dtype f16"
      )
    }
    var warnings: [String] = []
    var files = opened.checkpoint.companions
    let configuration = try Self.configuration(opened, model: model)
    files["config.json"] = JSONValue.object(configuration).serialized(pretty: true) + [UInt8(ascii: "\n")]
    if files["tokenizer.json"] == nil {
      if let tokenizer = model.tokenizer {
        do {
          let made = try TokenizerJSON.files(for: tokenizer)
          files["tokenizer.json"] = made.tokenizer
          files["tokenizer_config.json"] = made.configuration
          if made.droppedMergeCount > 0 {
            warnings.append("\(made.droppedMergeCount) merges name no token and were left out")
          }
        } catch { throw .tokenizer(path: opened.checkpoint.path, error) }
      } else {
        warnings.append("the source has no tokenizer, so the output has none")
      }
    }
    self.files = files
    self.warnings = warnings
  }

  /// A checkpoint of no known family: every tensor under its own name, and the small files beside it.
  init(tensorsOf checkpoint: Checkpoint, model: Model) {
    tensors = model.tensors
    var files = checkpoint.companions
    if let configuration = checkpoint.configuration {
      files["config.json"] = JSONValue.object(configuration).serialized(pretty: true) + [UInt8(ascii: "\n")]
    }
    self.files = files
    warnings = ["no family in the catalog matches, so tensors keep the names they have in the source"]
  }

  /// The source's own config.json with the new dtype, or one made from the hyperparameters.
  private static func configuration(_ opened: OpenedModel, model: Model) throws(ConversionError) -> JSONObject {
    let dtype = dominantType(of: model)
    if var configuration = model.configuration {
      let key: ByteString = configuration["torch_dtype"] != nil ? "torch_dtype" : "dtype"
      configuration[key] = .text(dtype)
      return configuration
    }
    var result = JSONObject()
    result["architectures"] = .array(opened.architecture.architectureNames.prefix(1).map { .text($0) })
    result["model_type"] = .text(opened.architecture.modelTypes.first ?? model.family)
    result["torch_dtype"] = .text(dtype)
    var values = model.hyperparameters
    if case .numbers(let factors)? = values["rope.frequency_factors"] {
      guard let scaling = RotaryEmbedding.llama3Parameters(matching: factors, hyperparameters: values) else {
        throw .inexpressible(
          "the file's rotary frequency factors are not of Llama 3's kind, which is all that a config.json can say")
      }
      for (name, value) in scaling { values[name] = value }
    }
    for (path, value) in opened.architecture.configuration(of: values) { result.set(value, atPath: path) }
    for (key, name) in [("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")] {
      if result[ByteString(key)] == nil, let id = model.metadata[ByteString("tokenizer.ggml.\(name)_token_id")]?.int {
        result[ByteString(key)] = .integer(id)
      }
    }
    return result
  }

  private static func dominantType(of model: Model) -> String {
    var counts: [String: Int] = [:]
    for tensor in model.tensors { counts[tensor.format.name, default: 0] += tensor.shape.elementCount }
    return switch counts.max(by: { ($0.value, $0.key) < ($1.value, $1.key) })?.key {
    case "F16": "float16"
    case "BF16": "bfloat16"
    default: "float32"
    }
  }
}

extension JSONObject {
  /// Sets `rope_scaling.factor` and the like, making the objects on the way.
  mutating func set(_ value: JSONValue, atPath path: String) {
    guard let dot = path.firstIndex(of: ".") else {
      self[ByteString(path)] = value
      return
    }
    let key = ByteString(String(path[..<dot]))
    var inner = self[key]?.object ?? JSONObject()
    inner.set(value, atPath: String(path[path.index(after: dot)...]))
    self[key] = .object(inner)
  }
}
