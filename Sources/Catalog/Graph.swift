internal import Bytes

/// What the blocks of a family compute, in the terms that the runtime assembles them from.
///
/// Only what can be seen neither from the tensors that exist nor from hyperparameters. In every option the first value
/// is the default.
public struct Graph: Hashable, Sendable {
  public enum Kind: String, Sendable { case decoder, encoder, encoderDecoder }
  /// Of every norm of the family; those of queries and keys have an option of their own.
  public enum Normalization: String, Sendable { case rms, layer }
  /// pre: x += f(norm(x)). post: x = norm(x + f(x)), as BERT.
  public enum Placement: String, Sendable { case pre, post }
  /// serial: attention, then feed-forward. parallel: x += attention(norm(x)) + feedForward(norm'(x)).
  /// glm: h = norm(x); x = α · h + f(h) with α = √(2 · blocks), as ChatGLM-6B.
  public enum Residual: String, Sendable { case serial, parallel, glm }
  public enum Positions: String, Sendable {
    case rotary
    /// A row of `position_embd.weight` is added to each token's embedding.
    case learned
    /// T5's relative buckets, added to the scores.
    case buckets
    /// Transformer-XL's relative attention, as XLNet has it.
    case transformerXL
    /// A slope per head, added to the scores (Press et al. 2022).
    case alibi
  }
  /// Which elements of a head are rotated together, in canonical row order: i with i + n/2, or 2i with 2i + 1.
  public enum Rotary: String, Sendable { case halves, neighbours }
  /// prefix: the context sees itself, what follows is causal (ChatGLM-6B).
  public enum Attention: String, Sendable { case causal, bidirectional, prefix }
  /// Whether a feed-forward without `ffn_gate` has the gate's rows before those of `ffn_up`.
  public enum FeedForward: String, Sendable { case gated, plain }
  /// pangu: the last block's query is a row of `query_embd.weight`, and `output_norm` comes before that block.
  public enum FinalQuery: String, Sendable { case none, pangu }

  public let kind: Kind
  public let normalization: Normalization
  /// Of queries and keys.
  public let headNormalization: Normalization
  public let placement: Placement
  public let residual: Residual
  public let positions: Set<Positions>
  public let rotary: Rotary
  public let attention: Attention
  public let feedForward: FeedForward
  public let finalQuery: FinalQuery

  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    func option<Option: RawRepresentable>(_ key: String, default fallback: Option) throws(DescriptorError) -> Option
    where Option.RawValue == String {
      guard json[ByteString(key)] != nil else { return fallback }
      guard let value = Option(rawValue: try reader.text(key)) else { throw reader.problem(key) }
      return value
    }
    if let unknown = json.keys.first(where: { !Self.keys.contains($0.text) }) { throw reader.problem(unknown.text) }
    let kind = try option("kind", default: Kind.decoder)
    self.kind = kind
    normalization = try option("normalization", default: .rms)
    headNormalization = try option("headNormalization", default: .rms)
    placement = try option("placement", default: .pre)
    residual = try option("residual", default: .serial)
    rotary = try option("rotary", default: .halves)
    attention = try option("attention", default: kind == .encoder ? .bidirectional : .causal)
    feedForward = try option("feedForward", default: .gated)
    finalQuery = try option("finalQuery", default: .none)
    var positions: Set<Positions> = []
    for name in try Self.names(json, reader) {
      guard let value = Positions(rawValue: name) else { throw reader.problem("positions") }
      positions.insert(value)
    }
    self.positions = positions
  }

  /// One name or a list of them.
  private static func names(_ json: JSONObject, _ reader: DescriptorReader) throws(DescriptorError) -> [String] {
    if let name = json["positions"]?.string { return [name.text] }
    return try reader.texts("positions") ?? [Positions.rotary.rawValue]
  }

  private static let keys: Set<String> = [
    "kind", "normalization", "headNormalization", "placement", "residual", "positions", "rotary", "attention",
    "feedForward", "finalQuery",
  ]

  /// Whether the blocks are Llama's but for options of single models.
  public var isLlamas: Bool {
    kind == .decoder && normalization == .rms && placement == .pre && residual == .serial && positions == [.rotary]
      && rotary == .halves && attention == .causal && feedForward == .gated && finalQuery == .none
  }
}
