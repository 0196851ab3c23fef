public import Archives
public import Bytes
public import SystemPackage

/// Why a file is not a PyTorch checkpoint that we read. `rule` is the number of the rule in Formats/Specs/pytorch.md.
public enum PyTorchError: Error, Hashable, Sendable {
  /// The operating system refused, or the file changed while it was read.
  case file(FileError)
  /// The archive around it is broken.
  case zip(ZipError)
  /// The pickle in it is broken, or names what a checkpoint does not need.
  case pickle(PickleError)
  /// Neither a zip archive nor the format before PyTorch 1.6.
  case notPyTorch(path: FilePath, reason: String)
  /// Written on a machine of the other byte order.
  case bigEndian(path: FilePath)
  /// Not exactly one `data.pkl`, or none of its storages' entries.
  case missingEntry(path: FilePath, entry: ByteString)
  /// Neither a dictionary of tensors nor one with such a dictionary under a usual name.
  case noTensors(path: FilePath, reason: String)
  /// A tensor's description is not what PyTorch writes.
  case invalidTensor(path: FilePath, tensor: ByteString, reason: String)
  /// A tensor of a type that we cannot hold.
  case unknownType(path: FilePath, tensor: ByteString, type: String)
  /// A tensor reaches past its storage, or a storage past the file.
  case outOfRange(path: FilePath, tensor: ByteString, reason: String)
  /// A name that is not text, or stands twice.
  case invalidName(path: FilePath, tensor: ByteString)
  /// More of something than `Limits` allow.
  case limitExceeded(path: FilePath, item: String, limit: Int)

  /// The index of a sharded checkpoint is not what it should be; `key` is the offending member.
  case invalidIndex(path: FilePath, key: ByteString, reason: String)
  /// Shards that the index names are not beside it.
  case missingShards(path: FilePath, names: [String])
  /// Tensors that the index lists and no shard has, that lie in another shard than it says, and that it does not list.
  case indexDisagrees(path: FilePath, missing: [ByteString], misplaced: [ByteString], unlisted: [ByteString])
}

extension PyTorchError {
  /// The number of the rule that is broken, in Formats/Specs/pytorch.md; nil for errors of the layers below.
  public var rule: Int? {
    switch self {
    case .file, .zip, .pickle: nil
    case .notPyTorch: 1
    case .bigEndian: 2
    case .missingEntry: 3
    case .noTensors: 4
    case .invalidTensor: 5
    case .unknownType: 6
    case .outOfRange: 7
    case .invalidName: 8
    case .limitExceeded: 9
    case .invalidIndex: 10
    case .missingShards: 11
    case .indexDisagrees: 12
    }
  }

  /// `PYTORCH-5`, `PICKLE-4`: the rule by its full name, whichever layer states it.
  public var ruleName: String? {
    switch self {
    case .file: nil
    case .zip(let error): error.rule.map { "ZIP-\($0)" }
    case .pickle(let error): error.rule.map { "PICKLE-\($0)" }
    default: rule.map { "PYTORCH-\($0)" }
    }
  }

  /// From the start of the file, in bytes; 0 where the fault has no place of its own.
  public var offset: Int {
    switch self {
    case .zip(let error): error.offset
    case .pickle(let error): error.offset
    default: 0
    }
  }

  /// The tensor, entry or key concerned; of several, the first; empty where there is none.
  public var name: ByteString {
    switch self {
    case .zip(let error): error.name
    case .missingEntry(_, let name), .invalidTensor(_, let name, _), .unknownType(_, let name, _),
      .outOfRange(_, let name, _), .invalidName(_, let name), .invalidIndex(_, let name, _):
      name
    case .missingShards(_, let names): ByteString(names.first ?? "")
    case .indexDisagrees(_, let missing, let misplaced, let unlisted): (missing + misplaced + unlisted).first ?? ""
    case .file, .pickle, .notPyTorch, .bigEndian, .noTensors, .limitExceeded: ""
    }
  }
}

extension PyTorchError: CustomStringConvertible {
  public var description: String { rule.map { "\(message) [PYTORCH-\($0)]" } ?? message }

  private var message: String {
    switch self {
    case .file(let error): "\(error)"
    case .zip(let error): "\(error)"
    case .pickle(let error): "\(error)"
    case .notPyTorch(let path, let reason): "\(path): not a PyTorch checkpoint: \(reason)"
    case .bigEndian(let path): "\(path): written on a big-endian machine; save it again on a little-endian one"
    case .missingEntry(let path, "single data.pkl"):
      "\(path): a zip archive without a single data.pkl: no checkpoint of PyTorch, NumPy or Keras, or a damaged one; "
        + "if a model lies in it, unpack it"
    case .missingEntry(let path, let entry): "\(path): the archive has no \(entry); fetch the file again"
    case .noTensors(let path, let reason): "\(path): no dictionary of tensors: \(reason); save the state_dict alone"
    case .invalidTensor(let path, let tensor, let reason): "\(path): tensor \(tensor): \(reason)"
    case .unknownType(let path, let tensor, let type): "\(path): tensor \(tensor): unknown type \(type)"
    case .outOfRange(let path, let tensor, let reason): "\(path): tensor \(tensor): \(reason)"
    case .invalidName(let path, let tensor): "\(path): a tensor's name is not text or stands twice: \"\(tensor)\""
    case .limitExceeded(let path, let item, let limit): "\(path): more than \(limit) \(item)"
    case .invalidIndex(let path, let key, let reason): "\(path): \(key.isEmpty ? "" : "\"\(key)\": ")\(reason)"
    case .missingShards(let path, let names):
      "\(path): missing beside it: \(names.joined(separator: ", ")); fetch every shard"
    case .indexDisagrees(let path, let missing, let misplaced, let unlisted):
      "\(path): the index and its shards disagree"
        + list("in no shard", missing) + list("in another shard", misplaced) + list("not in the index", unlisted)
    }
  }

  private func list(_ heading: String, _ names: [ByteString]) -> String {
    names.isEmpty ? "" : "; \(heading): \(names.map(\.text).joined(separator: ", "))"
  }
}
