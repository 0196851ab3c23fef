/// The most a file may ask of us. One value, passed in; the defaults hold every released model with room to spare.
public struct Limits: Sendable {
  /// Bytes of a header or other structured text that is held in memory at once.
  public var headerByteCount = 1 << 27
  /// Levels of arrays and objects inside each other.
  public var nestingDepth = 128
  /// Tensors in a model; DeepSeek-V3 has some 91,000 with its experts apart.
  public var tensorCount = 1 << 22
  /// Bytes of a tensor's name or a metadata key.
  public var nameByteCount = 1 << 16
  /// Axes of a tensor.
  public var dimensionCount = 16
  /// Key–value pairs of a GGUF file's metadata.
  public var metadataCount = 1 << 20

  /// Elements of one metadata array; the largest vocabularies have some 260,000, with merges a million.
  public var arrayElementCount = 1 << 22

  /// Values in one pickle; a tensor takes some 15.
  public var pickleNodeCount = 1 << 19

  public init() {}
}
