public import Bytes
public import SystemPackage

/// Which file of a sharded checkpoint holds which tensor, as Hugging Face writes it:
///
///     {"metadata": {"total_size": 28966928384}, "weight_map": {"lm_head.weight": "model-00006-of-00006.safetensors", …}}
public struct ShardIndex: Sendable {
  /// Files, in the order in which the index first names them.
  public let shardNames: [String]
  private let places: JSONObject

  public init(_ path: FilePath, limits: Limits) throws(ShardIndexError) {
    let text: [UInt8]
    do throws(FileError) { text = try InputFile.contents(of: path, limit: limits.headerByteCount) } catch {
      throw .file(error)
    }
    let json: JSONValue
    do throws(JSONError) { json = try JSONValue.parse(text, limits: limits) } catch {
      throw .invalid(path: path, key: "", reason: "\(error)")
    }
    guard let places = json["weight_map"]?.object else {
      throw .invalid(path: path, key: "weight_map", reason: "missing, or not an object")
    }
    var names: [String] = []
    var seen: Set<ByteString> = []
    for (tensor, shard) in places.members {
      guard let name = shard.string else { throw .invalid(path: path, key: tensor, reason: "not a string") }
      guard seen.insert(name).inserted else { continue }
      // A shard lies beside its index: a path elsewhere would make us read what was not given to us.
      guard !name.isEmpty, !name.bytes.contains(UInt8(ascii: "/")), !name.bytes.contains(0), name != "..", name != "."
      else { throw .invalid(path: path, key: tensor, reason: "\"\(name)\" is not the name of a file") }
      names.append(name.text)
    }
    shardNames = names
    self.places = places
  }

  /// Where the index and what `shardNames` really hold disagree; nil if nowhere.
  ///
  /// - Parameter contents: the tensors of each shard, in the order of `shardNames`.
  public func difference(from contents: [[ByteString]]) -> Difference? {
    var result = Difference()
    var found: Set<ByteString> = []
    for (shard, tensors) in zip(shardNames, contents) {
      for tensor in tensors {
        found.insert(tensor)
        switch places[tensor]?.string {
        case ByteString(shard): break
        case nil: result.unlisted.append(tensor)
        default: result.misplaced.append(tensor)
        }
      }
    }
    result.missing = places.keys.filter { !found.contains($0) }
    return result.missing.isEmpty && result.misplaced.isEmpty && result.unlisted.isEmpty ? nil : result
  }

  public struct Difference: Sendable {
    /// Listed, and in no shard.
    public var missing: [ByteString] = []
    /// Listed, and in another shard than the index says.
    public var misplaced: [ByteString] = []
    /// In a shard, and not listed.
    public var unlisted: [ByteString] = []
  }
}

/// Why a file is no index of shards.
public enum ShardIndexError: Error, Hashable, Sendable {
  case file(FileError)
  /// `key` is the offending member; empty for the text as a whole.
  case invalid(path: FilePath, key: ByteString, reason: String)
}
