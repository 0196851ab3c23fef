import Archives
public import Bytes
public import IR
public import SystemPackage

/// A checkpoint in several PyTorch files, held together by `pytorch_model.bin.index.json`.
public struct PyTorchIndex: Sendable {
  public static let fileName = "pytorch_model.bin.index.json"

  public let path: FilePath
  /// In the order in which the index first names them.
  public let shards: [PyTorchFile]
  /// Of the shards, one after the other.
  public let tensors: [TensorRef]

  /// Opens every shard. Index and shards must agree exactly; an error names every tensor or shard for which they do not.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(PyTorchError) {
    self.path = path
    let index: ShardIndex
    do throws(ShardIndexError) { index = try ShardIndex(path, limits: limits) } catch {
      switch error {
      case .file(let error): throw .file(error)
      case .invalid(let path, let key, let reason): throw .invalidIndex(path: path, key: key, reason: reason)
      }
    }
    var shards: [PyTorchFile] = []
    var missing: [String] = []
    for name in index.shardNames {
      do throws(PyTorchError) {
        shards.append(try PyTorchFile(path.removingLastComponent().appending(name), limits: limits))
      } catch .file(.system(_, _, .noSuchFileOrDirectory)) {
        missing.append(name)
      }
    }
    if !missing.isEmpty { throw .missingShards(path: path, names: missing) }
    self.shards = shards
    tensors = shards.flatMap(\.tensors)
    if let difference = index.difference(from: shards.map { $0.tensors.map(\.name) }) {
      throw .indexDisagrees(
        path: path, missing: difference.missing, misplaced: difference.misplaced, unlisted: difference.unlisted)
    }
  }
}
