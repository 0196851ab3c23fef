import Bytes
import Catalog
import GGUF
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
    if opened.checkpoint.container == .gguf {
      var metadata = model.metadata
      for key in ["split.no", "split.count", "split.tensors.count"] { metadata[ByteString(key)] = nil }
      metadata["general.file_type"] = .uint32(UInt32(fileType))
      metadata["general.quantization_version"] = .uint32(2)
      self.metadata = metadata
    } else {
      var metadata = Metadata()
      metadata["general.architecture"] = .string(ByteString(architecture))
      metadata["general.type"] = .string("model")
      metadata["general.name"] = .string(ByteString(name))
      metadata["general.file_type"] = .uint32(UInt32(fileType))
      metadata["general.quantization_version"] = .uint32(2)
      for entry in Self.hyperparameters(of: model, opened.architecture, prefix: architecture) {
        metadata[entry.key] = entry.value
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
      self.metadata = metadata
    }
    tensors = try Self.tensors(of: model, opened.architecture)
    self.warnings = warnings
  }

  /// The family's hyperparameters as llama.cpp's keys; what it has no key for goes under `quern.`.
  private static func hyperparameters(
    of model: Model, _ architecture: ArchitectureDescriptor, prefix: String
  ) -> [Metadata.Entry] {
    let values = model.hyperparameters
    // llama.cpp takes Llama 3's scaling from rope_freqs.weight and refuses its name.
    let isLlama3 = values.string("rope.scaling.type") == "llama3"
    return architecture.hyperparameters.compactMap { rule in
      guard let value = values[rule.name], value != rule.omitted, let entry = MetadataValue(value) else { return nil }
      if let key = rule.gguf.first, !(isLlama3 && rule.name.hasPrefix("rope.scaling.")) {
        return .init(key: ByteString("\(prefix).\(key)"), value: entry)
      }
      guard isLlama3 || rule.name == "feed_forward.activation" else { return nil }
      if rule.name == "feed_forward.activation", value == .string("silu") { return nil }
      return .init(key: ByteString("quern.\(rule.name)"), value: entry)
    }
  }

  private static func tensors(of model: Model, _ architecture: ArchitectureDescriptor) throws(ConversionError)
    -> [TensorRef]
  {
    let headDimension = model.hyperparameters.integer("attention.key_length") ?? 0
    let instances = architecture.instances(in: model.hyperparameters)
    let hasRotaryHeads = Set(instances.filter(\.rule.hasRotaryHeads).map(\.name))
    var tensors = model.tensors.map { tensor in
      var result = tensor
      if architecture.ggufRotaryOrder == .pairs, hasRotaryHeads.contains(tensor.name) {
        result = result.reorderedHeads(to: .pairs, headDimension: headDimension)
      }
      result.sourceName = tensor.name
      return result
    }
    do {
      let rotary = try RotaryEmbedding(model.hyperparameters)
      switch rotary.scaling {
      case .llama3, .factors:
        var bytes = ByteWriter()
        for factor in rotary.frequencyFactors { bytes.append(Float(factor)) }
        let source = MemoryTensorSource(bytes: bytes.bytes, rowByteCount: bytes.count)
        tensors.append(
          TensorRef(
            name: "rope_freqs.weight", shape: .vector(rotary.frequencyFactors.count), format: .f32, source: source))
      case .none, .linear, .yarn, .dynamic, .dynamicByPowers, .longRope: break
      }
    } catch { throw .inexpressible("\(error)") }
    return tensors
  }
}

extension MetadataValue {
  /// With the widths that llama.cpp's own converter writes; nil for lists.
  init?(_ value: Hyperparameters.Value) {
    switch value {
    case .integer(let value):
      guard let exact = UInt32(exactly: value) else { return nil }
      self = .uint32(exact)
    case .number(let value): self = .float32(Float(value))
    case .bool(let value): self = .bool(value)
    case .string(let value): self = .string(ByteString(value))
    case .integers, .numbers: return nil
    }
  }
}
