internal import Bytes

/// What the blocks of a family compute, in the terms that the runtime assembles them from.
public struct Graph: Hashable, Sendable {
  public enum Normalization: String, Sendable { case rms }
  public enum Placement: String, Sendable { case pre }
  public enum Positions: String, Sendable { case rotary }
  public enum Attention: String, Sendable { case causal }
  public enum FeedForward: String, Sendable { case gated }

  public let normalization: Normalization
  public let placement: Placement
  public let positions: Positions
  public let attention: Attention
  public let feedForward: FeedForward

  init(_ json: JSONObject, in file: String) throws(DescriptorError) {
    let reader = DescriptorReader(json, in: file)
    func option<Option: RawRepresentable>(_ key: String) throws(DescriptorError) -> Option
    where Option.RawValue == String {
      guard let value = Option(rawValue: try reader.text(key)) else { throw reader.problem(key) }
      return value
    }
    normalization = try option("normalization")
    placement = try option("placement")
    positions = try option("positions")
    attention = try option("attention")
    feedForward = try option("feedForward")
  }
}
