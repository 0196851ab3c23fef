public import Bytes
public import SystemPackage

extension SafetensorsError {
  /// From the start of the file, in bytes; 0 where the fault has no place of its own.
  public var offset: Int {
    switch self {
    case .invalidHeader(_, _, let offset), .duplicateKey(_, _, let offset), .invalidField(_, _, _, _, let offset),
      .unknownType(_, _, _, let offset), .shapeTooLarge(_, _, _, let offset), .outOfRange(_, _, _, _, let offset),
      .sizeMismatch(_, _, _, _, let offset), .overlap(_, _, _, let offset), .hole(_, _, let offset),
      .invalidMetadata(_, _, let offset), .limitExceeded(_, _, _, let offset):
      offset
    case .file, .truncated, .headerTooLong, .invalidIndex, .missingShards, .indexDisagrees, .cannotStore, .invalidName,
      .metadataNotText:
      0
    }
  }

  /// The tensor or key concerned; of several, the first; empty where there is none.
  public var name: ByteString {
    switch self {
    case .invalidField(_, let name, _, _, _), .unknownType(_, let name, _, _), .shapeTooLarge(_, let name, _, _),
      .outOfRange(_, let name, _, _, _), .sizeMismatch(_, let name, _, _, _), .overlap(_, let name, _, _),
      .duplicateKey(_, let name, _), .invalidMetadata(_, let name, _), .invalidIndex(_, let name, _),
      .cannotStore(let name, _), .invalidName(let name, _), .metadataNotText(let name):
      name
    case .missingShards(_, let names): ByteString(names.first ?? "")
    case .indexDisagrees(_, let missing, let misplaced, let unlisted): (missing + misplaced + unlisted).first ?? ""
    case .file, .truncated, .headerTooLong, .invalidHeader, .hole, .limitExceeded: ""
    }
  }

  /// The file at fault, where one was read.
  public var path: FilePath? {
    switch self {
    case .truncated(let path, _, _), .headerTooLong(let path, _, _), .invalidHeader(let path, _, _),
      .duplicateKey(let path, _, _), .invalidField(let path, _, _, _, _), .unknownType(let path, _, _, _),
      .shapeTooLarge(let path, _, _, _), .outOfRange(let path, _, _, _, _), .sizeMismatch(let path, _, _, _, _),
      .overlap(let path, _, _, _), .hole(let path, _, _), .invalidMetadata(let path, _, _),
      .limitExceeded(let path, _, _, _), .invalidIndex(let path, _, _), .missingShards(let path, _),
      .indexDisagrees(let path, _, _, _):
      path
    case .file, .cannotStore, .invalidName, .metadataNotText: nil
    }
  }
}
