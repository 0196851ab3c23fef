public import Bytes
public import Catalog
public import IR

/// What of a model its memory depends on: names, shapes and formats of tensors, and hyperparameters. No bytes.
public struct ModelShape: Sendable {
  public struct Tensor: Hashable, Sendable {
    /// Canonical.
    public let name: ByteString
    public let shape: Shape
    public let format: BlockFormat
    /// What it takes in memory: the format's own bytes unless another runtime's encoding was asked for.
    public let encoding: WeightEncoding
    /// Rows padded to whole blocks, or nil when the product does not fit.
    public let byteCount: Int?
    /// How a GPU library keeps it, where the file has it so: a runtime that knows the library does not decode it.
    public let packed: PackedEncoding?
    /// Where it belongs in a report.
    let role: Role
    /// 3 of `blk.3.attn_q.weight`, `dec.blk.3.attn_q.weight`.
    let layer: Int?
    /// One matrix for each expert.
    let isExperts: Bool
    /// Its name without layer and ending: `attn_q`, `token_embd`.
    let kind: String

    /// Rows that are looked up and added, never multiplied with.
    var isTable: Bool {
      ["position_embd", "token_types", "task_types", "attn_rel_b", "query_embd"].contains(kind)
    }

    enum Role: String, CaseIterable {
      case embedding
      case layers
      case head
      /// Norms and biases.
      case vectors = "norms and biases"
    }

    public init(
      name: ByteString, shape: Shape, format: BlockFormat, encoding: WeightEncoding? = nil,
      packed: PackedEncoding? = nil, byteCount: Int? = nil
    ) {
      self.name = name
      self.shape = shape
      self.format = format
      let encoding = encoding ?? WeightEncoding(format)
      self.encoding = encoding
      self.packed = packed
      self.byteCount =
        byteCount ?? encoding.formula(rows: Formula("rows", shape.rows), columns: shape.columns).value
      let text = name.text
      role =
        text == "token_embd.weight"
        ? .embedding : text == "output.weight" ? .head : shape.dimensions.count > 1 ? .layers : .vectors
      let parts = text.split(separator: ".", maxSplits: 4)
      let start = parts.firstIndex(of: "blk").map { $0 + 1 } ?? parts.count
      layer = start < parts.count ? Int(parts[start]) : nil
      isExperts = text.contains("_exps.")
      kind = String((layer == nil ? parts.first : parts.count > start + 1 ? parts[start + 1] : nil) ?? "")
    }
  }

  /// The format that a tensor would have after quantization: of its canonical name, its shape and what it is stored as.
  public typealias FormatChoice = (_ name: ByteString, _ shape: Shape, _ stored: BlockFormat) -> BlockFormat

  public let family: String
  public let hyperparameters: Hyperparameters
  public private(set) var tensors: [Tensor] {
    didSet { summarize() }
  }
  /// Of the matrices that are multiplied. What laws ask of the tensors again and again is kept.
  private(set) var layerEncodings: Set<String> = []
  /// Of the matrix that turns the last state into logits, which may be the embedding's.
  private(set) var headEncodings: Set<String> = []
  private(set) var hasFusedAttention = false
  /// Every one in use.
  private(set) var encodings: Set<WeightEncoding> = []
  private(set) var largestExpandedMatrix: Int?
  /// Of the checkpoint's file, beside the tensors: header, metadata, tokenizer. Nil when there is no file.
  public var fileOverheadByteCount: Int?
  /// Whether our own runtime can run the family; its law counts others too, and the footprint says so.
  public var isRunnable = true
  /// It generates token by token; encoders look both ways at once and keep nothing.
  public var isCausal: Bool
  /// The most rows that tensors of a kind have in a layer: `attn_q`, `ffn_up`.
  private(set) var rows: [String: Int] = [:]

  public init(family: String, hyperparameters: Hyperparameters, tensors: [Tensor]) {
    self.family = family
    self.hyperparameters = hyperparameters
    self.tensors = tensors
    isCausal = hyperparameters.bool("attention.causal") ?? true
    summarize()
  }

  private mutating func summarize() {
    encodings = Set(tensors.lazy.map(\.encoding))
    rows = [:]
    for tensor in tensors { rows[tensor.kind] = max(rows[tensor.kind] ?? 0, tensor.shape.rows) }
    layerEncodings = Set(tensors.lazy.filter { $0.role == .layers && !$0.isTable }.map(\.encoding.name))
    let head: Tensor.Role = tensors.contains { $0.role == .head } ? .head : .embedding
    headEncodings = Set(tensors.lazy.filter { $0.role == head }.map(\.encoding.name))
    hasFusedAttention = tensors.contains { $0.name == "blk.0.attn_qkv.weight" }
    largestExpandedMatrix = tensors.lazy.filter { $0.encoding.bytesPerRow > 0 }.map(\.shape.elementCount).max()
  }

  /// A checkpoint, with the formats its tensors have.
  /// - Parameter packed: of a tensor, how a GPU library keeps it.
  public init(_ model: Model, packed: (TensorRef) -> PackedEncoding? = { _ in nil }) {
    self.init(
      family: model.family, hyperparameters: model.hyperparameters,
      tensors: model.tensors.map { Tensor(name: $0.name, shape: $0.shape, format: $0.format, packed: packed($0)) })
  }

  /// A configuration alone: every tensor that the family's descriptor asks for.
  /// - Parameter format: what matrices would be stored as; vectors (norms, biases) as well.
  /// - Throws: when the shape of a tensor cannot be told or does not fit.
  public init(
    _ architecture: ArchitectureDescriptor, hyperparameters: Hyperparameters, format: BlockFormat
  ) throws(FootprintError) {
    for rule in architecture.tensors where rule.exists(in: hyperparameters) && rule.shape(in: hyperparameters) == nil {
      throw .missingHyperparameter(name: "the shape of \(rule.name.name(layer: 0))")
    }
    self.init(
      family: architecture.family, hyperparameters: hyperparameters,
      tensors: architecture.instances(in: hyperparameters).map {
        Tensor(name: $0.name, shape: $0.shape, format: format)
      })
    isCausal = architecture.graph.kind != .encoder
  }

  /// A released model by name, in the type it was released in.
  public init(_ checkpoint: ReleasedModel) {
    self.init(
      family: checkpoint.family, hyperparameters: checkpoint.hyperparameters,
      tensors: checkpoint.tensors.map { Tensor(name: $0.name, shape: $0.shape, format: checkpoint.format) })
    isCausal = checkpoint.isCausal
  }

  /// The same model as if quantized.
  public func formatted(as choice: FormatChoice) -> ModelShape {
    var result = self
    result.tensors = tensors.map {
      Tensor(name: $0.name, shape: $0.shape, format: choice($0.name, $0.shape, $0.format))
    }
    return result
  }

  /// The same model with some of its matrices as a GPU library packs them.
  public func packed(as choice: (_ name: ByteString, _ shape: Shape) -> PackedEncoding?) -> ModelShape {
    var result = self
    result.tensors = tensors.map {
      Tensor(name: $0.name, shape: $0.shape, format: $0.format, packed: choice($0.name, $0.shape) ?? $0.packed)
    }
    return result
  }

  /// The same model as a runtime holds it: packed as it is where the runtime computes with that, else in F16. Runtimes
  /// that know no library's format are given the decoded file.
  public func held(by profile: RuntimeProfile) -> ModelShape {
    guard profile.readsPackedFolders, tensors.contains(where: { $0.packed != nil }) else { return self }
    var result = self
    result.tensors = tensors.map { tensor in
      guard let packed = tensor.packed else { return tensor }
      guard profile.keeps(packed) else {
        return Tensor(name: tensor.name, shape: tensor.shape, format: .f16, packed: packed)
      }
      return Tensor(
        name: tensor.name, shape: tensor.shape, format: tensor.format, encoding: packed.encoding, packed: packed,
        byteCount: packed.byteCount)
    }
    return result
  }

  /// Whether some matrices are as a GPU library packs them.
  public var isPacked: Bool { tensors.contains { $0.packed != nil } }

  /// The same model with the matrices of its layers in another runtime's encoding; embedding, head and vectors stay.
  public func encoded(as encoding: WeightEncoding) -> ModelShape {
    var result = self
    result.tensors = tensors.map {
      $0.role == .layers ? Tensor(name: $0.name, shape: $0.shape, format: $0.format, encoding: encoding) : $0
    }
    return result
  }

  /// As our runtime loads it: rows that are looked up are F32 from then on.
  var withTablesDecoded: ModelShape {
    guard tensors.contains(where: \.isTable) else { return self }
    var result = self
    result.tensors = tensors.map { $0.isTable ? Tensor(name: $0.name, shape: $0.shape, format: .f32) : $0 }
    return result
  }

  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.elementCount } }

  /// Bits per parameter, scales and block padding included.
  public var bitsPerWeight: Double {
    let bytes = tensors.reduce(0.0) { $0 + Double($1.byteCount ?? 0) }
    return parameterCount == 0 ? 0 : bytes * 8 / Double(parameterCount)
  }

  /// Whether some layer keeps a state instead of keys and values.
  var isRecurrent: Bool {
    ((try? AttentionLayer.headCounts(of: self)) ?? []).contains(0)
  }

  /// Some of its tensors.
  func only(_ isKept: (Tensor) -> Bool) -> ModelShape {
    var result = self
    result.tensors = tensors.filter(isKept)
    return result
  }

  func required(_ name: String) throws(FootprintError) -> Int {
    guard let value = hyperparameters.integer(name) else { throw .missingHyperparameter(name: name) }
    return value
  }

  /// Files of families that no descriptor knows may say anything.
  func layerCount(_ name: String = "block_count", orElse other: String = "block_count") throws(FootprintError) -> Int {
    let count = try required(name, orElse: other)
    guard (1...10_000).contains(count) else {
      throw .invalidHyperparameter(name: hyperparameters.integer(name) == nil ? other : name, found: "\(count)")
    }
    return count
  }

  func required(_ name: String, orElse other: String) throws(FootprintError) -> Int {
    guard let value = hyperparameters.integer(name) else { return try required(other) }
    return value
  }

  /// An input of a formula by a short name, from the hyperparameter.
  func input(_ name: String, _ hyperparameter: String) throws(FootprintError) -> Formula {
    Formula(name, try required(hyperparameter))
  }
}
