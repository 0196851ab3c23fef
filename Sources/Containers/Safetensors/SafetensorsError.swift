public import Bytes
public import IR
public import SystemPackage

/// Why a file is not safetensors, or why tensors cannot become such a file.
///
/// `offset` counts bytes from the start of the file. `rule` is the number of the rule in Formats/Specs/safetensors.md.
public enum SafetensorsError: Error, Hashable, Sendable {
  /// The operating system refused, or the file changed while it was read.
  case file(FileError)
  /// The header's length, or the header itself, reaches past the end of the file.
  case truncated(path: FilePath, headerByteCount: UInt64, fileByteCount: Int)
  /// The header is longer than we are willing to hold.
  case headerTooLong(path: FilePath, headerByteCount: UInt64, limit: Int)
  /// The header is not a JSON object in UTF-8.
  case invalidHeader(path: FilePath, reason: String, offset: Int)
  /// A tensor's name, or a key of `__metadata__`, stands twice.
  case duplicateKey(path: FilePath, key: ByteString, offset: Int)
  /// A tensor's entry lacks `field`, or has it twice, or with a value of the wrong kind, or the format knows no such field.
  case invalidField(path: FilePath, tensor: ByteString, field: String, reason: String, offset: Int)
  /// A `dtype` we cannot hold.
  case unknownType(path: FilePath, tensor: ByteString, type: String, offset: Int)
  /// The shape's element or byte count does not fit a machine integer.
  case shapeTooLarge(path: FilePath, tensor: ByteString, dimensions: [Int], offset: Int)
  /// `data_offsets` run backwards or past the end of the file's `dataByteCount`.
  case outOfRange(path: FilePath, tensor: ByteString, range: [Int], dataByteCount: Int, offset: Int)
  /// The shape needs another number of bytes than `data_offsets` span.
  case sizeMismatch(path: FilePath, tensor: ByteString, needed: Int, described: Int, offset: Int)
  /// Two tensors share the bytes at `offset`.
  case overlap(path: FilePath, tensor: ByteString, other: ByteString, offset: Int)
  /// Bytes from `offset` on belong to no tensor.
  case hole(path: FilePath, byteCount: Int, offset: Int)
  /// A value of `__metadata__` is not a string.
  case invalidMetadata(path: FilePath, key: ByteString, offset: Int)
  /// More of something than `Limits` allow.
  case limitExceeded(path: FilePath, what: String, limit: Int, offset: Int)

  /// The index of a sharded checkpoint is not what it should be; `key` is the offending member.
  case invalidIndex(path: FilePath, key: ByteString, reason: String)
  /// Shards that the index names are not beside it.
  case missingShards(path: FilePath, names: [String])
  /// Tensors that the index lists and no shard has, that lie in another shard than it says, and that it does not list.
  case indexDisagrees(path: FilePath, missing: [ByteString], misplaced: [ByteString], unlisted: [ByteString])

  /// The tensor's type has no name in this format: packed blocks.
  case cannotStore(tensor: ByteString, format: BlockFormat)
  /// A tensor's name that the header cannot hold: not UTF-8, given twice, or `__metadata__`.
  case invalidName(tensor: ByteString, reason: String)
  /// Metadata to be written that is not text.
  case metadataNotText(key: ByteString)
}

extension SafetensorsError {
  /// The number of the rule that is broken, in Formats/Specs/safetensors.md; nil for the operating system's errors.
  public var rule: Int? {
    switch self {
    case .file: nil
    case .truncated: 1
    case .headerTooLong: 2
    case .invalidHeader: 3
    case .duplicateKey: 4
    case .invalidField: 5
    case .unknownType: 6
    case .shapeTooLarge: 7
    case .outOfRange: 8
    case .sizeMismatch: 9
    case .overlap: 10
    case .hole: 11
    case .invalidMetadata: 12
    case .limitExceeded: 13
    case .invalidIndex: 14
    case .missingShards: 15
    case .indexDisagrees: 16
    case .cannotStore: 17
    case .invalidName: 18
    case .metadataNotText: 19
    }
  }
}

extension SafetensorsError: CustomStringConvertible {
  public var description: String { rule.map { "\(message) [SAFETENSORS-\($0)]" } ?? message }

  private var message: String {
    switch self {
    case .file(let error): "\(error)"
    case .truncated(let path, let headerByteCount, let fileByteCount):
      "\(path): truncated, or not safetensors: the file has \(fileByteCount) bytes, its header alone 8 + "
        + "\(headerByteCount); fetch the file again"
    case .headerTooLong(let path, let headerByteCount, let limit):
      "\(path): a header of \(headerByteCount) bytes, \(limit) are allowed; is this a safetensors file?"
    case .invalidHeader(let path, let reason, let offset): "\(path): header: \(reason), at offset \(offset)"
    case .duplicateKey(let path, let key, let offset): "\(path): \"\(key)\" stands twice, again at offset \(offset)"
    case .invalidField(let path, let tensor, let field, let reason, let offset):
      "\(path): tensor \(tensor): \(field): \(reason), at offset \(offset)"
    case .unknownType(let path, let tensor, let type, let offset):
      "\(path): tensor \(tensor): unknown dtype \"\(type)\" at offset \(offset)"
    case .shapeTooLarge(let path, let tensor, let dimensions, let offset):
      "\(path): tensor \(tensor): shape \(dimensions) is too large, at offset \(offset)"
    case .outOfRange(let path, let tensor, let range, let dataByteCount, let offset):
      "\(path): tensor \(tensor): data_offsets \(range), at offset \(offset), do not lie in the file's "
        + "\(dataByteCount) bytes of data; if the download was cut short, fetch the file again"
    case .sizeMismatch(let path, let tensor, let needed, let described, let offset):
      "\(path): tensor \(tensor): its shape needs \(needed) bytes and data_offsets give it \(described), "
        + "at offset \(offset)"
    case .overlap(let path, let tensor, let other, let offset):
      "\(path): tensors \(tensor) and \(other) share the bytes at offset \(offset)"
    case .hole(let path, let byteCount, let offset):
      "\(path): \(byteCount) bytes at offset \(offset) belong to no tensor"
    case .invalidMetadata(let path, let key, let offset):
      "\(path): __metadata__: the value of \"\(key)\" at offset \(offset) is not a string"
    case .limitExceeded(let path, let what, let limit, let offset):
      "\(path): more than \(limit) \(what), at offset \(offset)"
    case .invalidIndex(let path, let key, let reason): "\(path): \(key.isEmpty ? "" : "\"\(key)\": ")\(reason)"
    case .missingShards(let path, let names):
      "\(path): missing beside it: \(names.joined(separator: ", ")); fetch every shard"
    case .indexDisagrees(let path, let missing, let misplaced, let unlisted):
      "\(path): the index and its shards disagree"
        + list("in no shard", missing) + list("in another shard", misplaced) + list("not in the index", unlisted)
    case .cannotStore(let tensor, let format):
      "tensor \(tensor): safetensors has no type for \(format.name); choose a plain type, or write GGUF"
    case .invalidName(let tensor, let reason): "tensor \(tensor): a name that safetensors cannot hold: \(reason)"
    case .metadataNotText(let key): "metadata \"\(key)\": safetensors holds only text"
    }
  }

  private func list(_ heading: String, _ names: [ByteString]) -> String {
    names.isEmpty ? "" : "; \(heading): \(names.map(\.text).joined(separator: ", "))"
  }
}
