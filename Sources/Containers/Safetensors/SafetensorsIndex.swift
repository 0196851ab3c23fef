import Archives
public import Bytes
public import IR
public import SystemPackage

/// A checkpoint in several safetensors files, held together by `model.safetensors.index.json`.
///
///     {"metadata": {"total_size": 28966928384},
///      "weight_map": {"lm_head.weight": "model-00006-of-00006.safetensors", …}}
public struct SafetensorsIndex: Sendable {
  public let path: FilePath
  /// In the order in which the index first names them.
  public let shards: [SafetensorsFile]
  /// Of the shards, one after the other.
  public let tensors: [TensorRef]
  /// The shards' metadata; where two differ, the first one's.
  public let metadata: Metadata

  /// Opens every shard. Index and shards must agree exactly; an error names every tensor or shard for which they do not.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(SafetensorsError) {
    self.path = path
    let index: ShardIndex
    do throws(ShardIndexError) { index = try ShardIndex(path, limits: limits) } catch {
      switch error {
      case .file(let error): throw .file(error)
      case .invalid(let path, let key, let reason): throw .invalidIndex(path: path, key: key, reason: reason)
      }
    }
    shards = try Self.open(index.shardNames, beside: path, limits: limits)
    var metadata = Metadata()
    for shard in shards {
      for entry in shard.metadata.entries where metadata[entry.key] == nil { metadata[entry.key] = entry.value }
    }
    self.metadata = metadata
    tensors = shards.flatMap(\.tensors)
    if let difference = index.difference(from: shards.map { $0.tensors.map(\.name) }) {
      throw .indexDisagrees(
        path: path, missing: difference.missing, misplaced: difference.misplaced, unlisted: difference.unlisted)
    }
  }

  private static func open(
    _ names: [String], beside path: FilePath, limits: Limits
  ) throws(SafetensorsError) -> [SafetensorsFile] {
    var shards: [SafetensorsFile] = []
    var missing: [String] = []
    for name in names {
      do throws(SafetensorsError) {
        shards.append(try SafetensorsFile(path.removingLastComponent().appending(name), limits: limits))
      } catch .file(.system(_, _, .noSuchFileOrDirectory)) {
        missing.append(name)
      }
    }
    if !missing.isEmpty { throw .missingShards(path: path, names: missing) }
    return shards
  }
}
