import Bytes
import Catalog
import GGUF
import Glibc
public import IR
import Tokenizers

/// A model in the names, orders and metadata that llama.cpp expects.
public struct GGUFExport: Sendable {
  public let metadata: Metadata
  public let tensors: [TensorRef]
  /// What GGUF's readers will treat differently than the source did.
  public let warnings: [String]

  /// - Parameter fileType: `general.file_type`, as `llama.h` numbers them.
  public init(_ opened: OpenedModel, model: Model, fileType: Int, name: String) throws(ConversionError) {
    guard let architecture = opened.architecture.ggufArchitecture else {
      throw .inexpressible("llama.cpp has no '\(model.family)', so GGUF cannot hold it; use --to safetensors")
    }
    var warnings: [String] = []
    var metadata: Metadata
    if opened.checkpoint.container == .gguf {
      metadata = model.metadata
      for key in ["split.no", "split.count", "split.tensors.count"] { metadata[ByteString(key)] = nil }
      metadata["general.file_type"] = .uint32(UInt32(fileType))
      metadata["general.quantization_version"] = .uint32(2)
    } else {
      metadata = Metadata()
      metadata["general.architecture"] = .string(ByteString(architecture))
      metadata["general.type"] = .string("model")
      metadata["general.name"] = .string(ByteString(name))
      metadata["general.file_type"] = .uint32(UInt32(fileType))
      metadata["general.quantization_version"] = .uint32(2)
      for entry in opened.architecture.ggufMetadata(of: model.hyperparameters) { metadata[entry.key] = entry.value }
      if opened.architecture.family != architecture {
        metadata["quern.family"] = .string(ByteString(opened.architecture.family))
      }
      if let entry = try Self.attentionFactor(of: model, architecture) { metadata[entry.key] = entry.value }
      warnings += opened.architecture.ggufDifferences(model.hyperparameters).map {
        "llama.cpp computes it differently: \($0)"
      }
      if let scaling = model.hyperparameters.string("rope.scaling.type"), scaling.hasPrefix("dynamic") {
        warnings.append(
          "llama.cpp has no rotary scaling of the kind '\(scaling)'; it computes without, which is right up to the "
            + "trained context")
      }
      if let tokenizer = model.tokenizer {
        do {
          let (entries, notes) = try GGUFTokenizer.metadata(
            for: tokenizer, vocabularyCount: model.hyperparameters.integer("vocab_size") ?? tokenizer.tokens.count)
          for entry in entries.entries { metadata[entry.key] = entry.value }
          warnings += notes.map { "\($0)" }
        } catch { throw .tokenizer(path: opened.checkpoint.path, error) }
      } else {
        metadata["tokenizer.ggml.model"] = .string("none")
        warnings.append("the source has no tokenizer.json, so the output has no tokenizer")
      }
    }
    let (tensors, heads) = opened.architecture.ggufTensors(of: model)
    for head in heads {
      for entry in try GGUFHeads.entries(for: head) { metadata[entry.key] = entry.value }
    }
    if !heads.isEmpty {
      warnings.append(
        "llama.cpp has no place for \(heads.map(\.name.text).joined(separator: ", ")); they are kept in the metadata, where "
          + "quern finds them")
    }
    self.tensors = try tensors + Self.rotaryTensors(of: model)
    self.metadata = metadata
    self.warnings = warnings
  }

  /// What llama.cpp multiplies rotated values by: all of it for LongRoPE; for YaRN what is left beside its own
  /// 1 + log(factor) / 10.
  private static func attentionFactor(
    of model: Model, _ architecture: String
  ) throws(ConversionError) -> Metadata.Entry? {
    let values = model.hyperparameters
    let kind = values.string("rope.scaling.type")
    // DeepSeek's has a key of its own.
    guard kind == "yarn" || kind == "longrope", values.number("rope.scaling.yarn_log_multiplier") == nil else {
      return nil
    }
    let rotary: RotaryEmbedding
    do { rotary = try RotaryEmbedding(values) } catch { throw .inexpressible("\(error)") }
    var factor = rotary.attentionFactor
    if kind == "yarn", let stretch = values.number("rope.scaling.factor"), stretch > 1 {
      factor /= 1 + 0.1 * log(stretch)
    }
    guard abs(factor - 1) > 1e-6 else { return nil }
    return .init(key: ByteString("\(architecture).rope.scaling.attn_factor"), value: .float32(Float(factor)))
  }

  /// The rotary frequency factors, which llama.cpp keeps as tensors.
  private static func rotaryTensors(of model: Model) throws(ConversionError) -> [TensorRef] {
    func vector(_ name: ByteString, _ values: [Double]) -> TensorRef {
      var bytes = ByteWriter()
      for value in values { bytes.append(Float(value)) }
      let source = MemoryTensorSource(bytes: bytes.bytes, rowByteCount: bytes.count)
      return TensorRef(name: name, shape: .vector(values.count), format: .f32, source: source)
    }
    let values = model.hyperparameters
    if case .numbers(let long)? = values["rope.scaling.long_factors"],
      case .numbers(let short)? = values["rope.scaling.short_factors"]
    {
      return [vector("rope_factors_long.weight", long), vector("rope_factors_short.weight", short)]
    }
    guard values.integer("rope.dimension_count") != nil else { return [] }
    do {
      let rotary = try RotaryEmbedding(values)
      switch rotary.scaling {
      case .llama3, .factors: return [vector("rope_freqs.weight", rotary.frequencyFactors)]
      default: return []
      }
    } catch { throw .inexpressible("\(error)") }
  }
}
