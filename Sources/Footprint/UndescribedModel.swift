internal import Bytes
public import IR

extension Model {
  /// A GGUF file of a family that no descriptor knows. GGUF's keys and tensor names are the canonical ones, so its memory
  /// can be told all the same; it cannot be converted or run.
  /// - Parameter architecture: `general.architecture`.
  public init(undescribed architecture: String, metadata: Metadata, tensors: [TensorRef]) {
    self.init(
      family: architecture,
      hyperparameters: Hyperparameters(gguf: architecture, metadata: metadata, tensors: tensors), tensors: tensors,
      metadata: metadata)
  }
}

extension Hyperparameters {
  /// Every key under the architecture's prefix, and what llama.cpp takes for granted when it is not there.
  init(gguf architecture: String, metadata: Metadata, tensors: [TensorRef]) {
    self.init()
    let prefix = architecture + "."
    for entry in metadata.entries {
      let key = entry.key.text
      guard key.hasPrefix(prefix), let value = Self.value(entry.value) else { continue }
      self[String(key.dropFirst(prefix.count))] = value
    }
    // Layers beyond the model's own that predict further tokens; llama.cpp gives them no cache.
    if let layers = integer("block_count"), let extra = integer("nextn_predict_layers"), extra > 0, extra < layers {
      self["block_count"] = .integer(layers - extra)
    }
    for name in ["attention.head_count", "feed_forward_length"] { flatten(name) }
    if let heads = integer("attention.head_count"), let width = integer("embedding_length") {
      let length = heads > 0 ? width / heads : 0
      imply("attention.key_length", length)
      imply("attention.value_length", integer("attention.key_length") ?? length)
      imply("attention.head_count_kv", heads)
    }
    imply("feed_forward_length", 0)
    imply("rope.dimension_count", integer("attention.key_length") ?? 0)
    let embedding = tensors.first { $0.name == "token_embd.weight" }
    imply("vocab_size", metadata["tokenizer.ggml.tokens"]?.array?.count ?? embedding?.shape.rows ?? 0)
    // Files from before the compressed cache: keys and values are kept whole.
    if integer("attention.key_length_mla") == nil { self["attention.kv_lora_rank"] = nil }
    if let (period, globalFirst) = Self.windowPatterns[architecture] {
      imply("attention.sliding_window_pattern", period)
      self["attention.sliding_window_global_first"] = .bool(globalFirst)
    }
    if architecture == "mamba" || architecture == "mamba2" || architecture.hasPrefix("rwkv") {
      self["attention.head_count_kv"] = .integer(0)
      for (name, count) in [("attention.head_count", 0), ("attention.key_length", 0), ("attention.value_length", 0)] {
        imply(name, count)
      }
    }
  }

  private mutating func imply(_ name: String, _ value: Int) {
    if self[name] == nil { self[name] = .integer(value) }
  }

  /// A list over layers as its largest entry.
  private mutating func flatten(_ name: String) {
    if case .integers(let list)? = self[name] { self[name] = .integer(list.max() ?? 0) }
  }

  private static func value(_ value: MetadataValue) -> Hyperparameters.Value? {
    if let flag = value.bool { return .bool(flag) }
    if let integer = value.int { return .integer(integer) }
    if let number = value.double { return .number(number) }
    if let text = value.string { return .string(text.text) }
    switch value.array {
    case .bool(let list): return .integers(list.map { $0 ? 1 : 0 })
    case .int32(let list): return .integers(list.map(Int.init))
    case .uint32(let list): return .integers(list.map(Int.init))
    case .int64(let list): return .integers(list.map { Int($0) })
    case .uint64(let list): return .integers(list.map { Int(clamping: $0) })
    default: return nil
    }
  }

  /// Of how many layers one is global, and whether it is the first of them: what llama.cpp knows of a family that has
  /// sliding windows and whose files need not say so.
  private static let windowPatterns: [String: (period: Int, globalFirst: Bool)] = [
    "gemma2": (2, false), "gemma3": (6, false), "gemma3n": (5, false), "gemma-embedding": (6, false),
    "cohere2": (4, false), "exaone4": (4, false), "olmo2": (4, false), "gpt-oss": (2, false), "llama4": (4, false),
    "afmoe": (4, false), "plamo3": (8, false), "smallthinker": (4, true), "modern-bert": (3, true),
    "cohere2moe": (4, true), "laguna": (4, true),
  ]
}
