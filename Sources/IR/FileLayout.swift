/// What one output file will hold and where, decided before a byte of any tensor is read.
///
/// Containers make it; whoever streams writes `header` at 0 and each tensor at its offset. Bytes that neither covers are
/// zero, up to `byteCount`.
public struct FileLayout: Sendable {
  public struct Placement: Sendable {
    public let tensor: TensorRef
    /// From the start of the file, in bytes.
    public let offset: Int

    public init(tensor: TensorRef, offset: Int) {
      self.tensor = tensor
      self.offset = offset
    }
  }

  /// Without a folder: `model-00001-of-00003.safetensors`.
  public let name: String
  public let header: [UInt8]
  /// In ascending order of offsets.
  public let placements: [Placement]
  public let byteCount: Int

  public init(name: String, header: [UInt8], placements: [Placement], byteCount: Int) {
    self.name = name
    self.header = header
    self.placements = placements
    self.byteCount = byteCount
  }
}
