public import Bytes

/// A checkpoint in the one form that everything works on: canonical names, typed hyperparameters, lazy tensors.
///
/// Query and key projections are in Hugging Face's rotary order (halves), whatever the container's.
public struct Model: Sendable {
  /// The descriptor's family: `llama`.
  public var family: String
  public var hyperparameters: Hyperparameters
  /// In the order of the source's file.
  public private(set) var tensors: [TensorRef]
  public var tokenizer: TokenizerModel?
  /// Everything else the source said about itself, carried to an output that can hold it.
  public var metadata: Metadata
  /// The source's config.json, where it had one.
  public var configuration: JSONObject?
  private var index: [ByteString: Int]

  public init(
    family: String, hyperparameters: Hyperparameters, tensors: [TensorRef], tokenizer: TokenizerModel? = nil,
    metadata: Metadata = Metadata(), configuration: JSONObject? = nil
  ) {
    self.family = family
    self.hyperparameters = hyperparameters
    self.tensors = tensors
    self.tokenizer = tokenizer
    self.metadata = metadata
    self.configuration = configuration
    index = Self.indexed(tensors)
  }

  public subscript(name: ByteString) -> TensorRef? { index[name].map { tensors[$0] } }

  public mutating func replaceTensors(_ tensors: [TensorRef]) {
    self.tensors = tensors
    index = Self.indexed(tensors)
  }

  public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.elementCount } }
  public var tensorByteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  private static func indexed(_ tensors: [TensorRef]) -> [ByteString: Int] {
    Dictionary(tensors.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}
