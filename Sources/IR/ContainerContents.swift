public import Bytes

/// What a reader found in a container: tensors under the file's own names, and the account of what it left alone.
public struct ContainerContents: Sendable {
  public var tensors: [TensorRef]
  public var metadata: Metadata
  /// Of all files that hold tensors.
  public var fileByteCount: Int
  /// What the file holds and no tensor shows, in a few words each: `optimizer_state: left alone`.
  public var notes: [String]

  public init(tensors: [TensorRef], metadata: Metadata = Metadata(), fileByteCount: Int, notes: [String] = []) {
    self.tensors = tensors
    self.metadata = metadata
    self.fileByteCount = fileByteCount
    self.notes = notes
  }
}
