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
    let (names, places) = try Self.parse(path, limits: limits)
    shards = try Self.open(names, beside: path, limits: limits)
    var tensors: [TensorRef] = []
    var metadata = Metadata()
    var misplaced: [ByteString] = []
    var unlisted: [ByteString] = []
    for (name, shard) in zip(names, shards) {
      for entry in shard.metadata.entries where metadata[entry.key] == nil { metadata[entry.key] = entry.value }
      for tensor in shard.tensors {
        switch places[tensor.name]?.string {
        case ByteString(name): break
        case nil: unlisted.append(tensor.name)
        default: misplaced.append(tensor.name)
        }
      }
      tensors += shard.tensors
    }
    let found = Set(tensors.map(\.name))
    let missing = places.keys.filter { !found.contains($0) }
    guard missing.isEmpty, misplaced.isEmpty, unlisted.isEmpty else {
      throw .indexDisagrees(path: path, missing: missing, misplaced: misplaced, unlisted: unlisted)
    }
    self.tensors = tensors
    self.metadata = metadata
  }

  private static func parse(
    _ path: FilePath, limits: Limits
  ) throws(SafetensorsError) -> (shards: [String], places: JSONObject) {
    let text: [UInt8]
    do throws(FileError) {
      text = try InputFile.contents(of: path, limit: min(limits.headerByteCount, SafetensorsFile.longestHeader))
    } catch {
      throw .file(error)
    }
    let json: JSONValue
    do throws(JSONError) { json = try JSONValue.parse(text, limits: limits) } catch {
      throw .invalidIndex(path: path, key: "", reason: "\(error)")
    }
    guard let places = json["weight_map"]?.object else {
      throw .invalidIndex(path: path, key: "weight_map", reason: "missing, or not an object")
    }
    var names: [String] = []
    var seen: Set<ByteString> = []
    for (tensor, shard) in places.members {
      guard let name = shard.string else { throw .invalidIndex(path: path, key: tensor, reason: "not a string") }
      guard seen.insert(name).inserted else { continue }
      // A shard lies beside its index: a path elsewhere would make us read what was not given to us.
      guard !name.isEmpty, !name.bytes.contains(UInt8(ascii: "/")), !name.bytes.contains(0), name != "..", name != "."
      else { throw .invalidIndex(path: path, key: tensor, reason: "\"\(name)\" is not the name of a file") }
      names.append(name.text)
    }
    return (names, places)
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
