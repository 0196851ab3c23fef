/// Whether a model fits a device, how much more would, and how fast it would run there.
public struct DeviceFit: Sendable {
  /// What limits the rate.
  public enum Bottleneck: String, Sendable {
    case bandwidth = "memory bandwidth"
    case arithmetic
    case launches = "overhead per layer"
    /// Of the part that stays with the host.
    case host = "the host's memory bandwidth"
  }

  public struct Rate: Hashable, Sendable {
    /// Of all sequences together.
    public let tokensPerSecond: Double
    public let bottleneck: Bottleneck
  }

  public let device: Device
  public let footprint: Footprint
  /// What programs can have of the device's memory; vLLM takes its share.
  public let usableBytes: Int
  public var fits: Bool { headroomBytes >= 0 }
  /// Below zero: what is missing.
  public let headroomBytes: Int
  /// The most tokens per sequence, up to what the model was trained for (or what was asked, if that is more); 0 when not
  /// even the weights fit.
  public let maxContext: Int
  /// The most sequences of the context asked for.
  public let maxBatch: Int
  /// What could go to the device when the rest stays in the host's memory; nil when all fits, nothing does, or the
  /// runtime cannot split.
  public let split: DeviceSplit?
  /// While generating, at the end of the context. Nil when it does not fit or the device's rates are not known.
  public let generation: Rate?
  /// While reading a prompt.
  public let prompt: Rate?
}
