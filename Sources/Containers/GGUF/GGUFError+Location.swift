public import Bytes
public import SystemPackage

extension GGUFError {
  /// From the start of the file, in bytes; 0 where the fault has no place of its own.
  public var offset: Int {
    switch self {
    case .truncated(_, _, _, let offset), .impossibleCount(_, _, _, _, let offset),
      .limitExceeded(_, _, _, _, let offset), .emptyName(_, _, let offset), .duplicateKey(_, _, let offset),
      .unknownValueType(_, _, _, let offset), .invalidBool(_, _, _, let offset), .duplicateTensor(_, _, let offset),
      .tooManyDimensions(_, _, _, let offset), .shapeTooLarge(_, _, _, let offset),
      .unknownTensorType(_, _, _, _, let offset), .partialBlock(_, _, _, _, let offset),
      .misaligned(_, _, _, _, let offset), .outOfRange(_, _, _, _, _, let offset), .overlap(_, _, _, let offset):
      offset
    // The version's place.
    case .bigEndian, .unsupportedVersion: 4
    case .file, .notGGUF, .invalidAlignment, .invalidSplit, .unnumberedPart, .missingParts, .cannotStore, .cannotLayOut:
      0
    }
  }

  /// The tensor or key concerned; empty where there is none.
  public var name: ByteString {
    switch self {
    case .truncated(_, _, let name, _), .impossibleCount(_, _, let name, _, _), .limitExceeded(_, _, let name, _, _),
      .duplicateKey(_, let name, _), .unknownValueType(_, let name, _, _), .invalidBool(_, let name, _, _),
      .duplicateTensor(_, let name, _), .tooManyDimensions(_, let name, _, _), .shapeTooLarge(_, let name, _, _),
      .unknownTensorType(_, let name, _, _, _), .partialBlock(_, let name, _, _, _), .misaligned(_, let name, _, _, _),
      .outOfRange(_, let name, _, _, _, _), .overlap(_, let name, _, _), .invalidSplit(_, let name, _),
      .cannotStore(let name, _):
      name
    case .invalidAlignment: "general.alignment"
    case .file, .notGGUF, .bigEndian, .unsupportedVersion, .emptyName, .unnumberedPart, .missingParts, .cannotLayOut: ""
    }
  }

  /// The file at fault, where one was read.
  public var path: FilePath? {
    switch self {
    case .notGGUF(let path), .bigEndian(let path), .unsupportedVersion(let path, _), .truncated(let path, _, _, _),
      .impossibleCount(let path, _, _, _, _), .limitExceeded(let path, _, _, _, _), .emptyName(let path, _, _),
      .duplicateKey(let path, _, _), .unknownValueType(let path, _, _, _), .invalidBool(let path, _, _, _),
      .invalidAlignment(let path, _), .duplicateTensor(let path, _, _), .tooManyDimensions(let path, _, _, _),
      .shapeTooLarge(let path, _, _, _), .unknownTensorType(let path, _, _, _, _), .partialBlock(let path, _, _, _, _),
      .misaligned(let path, _, _, _, _), .outOfRange(let path, _, _, _, _, _), .overlap(let path, _, _, _),
      .invalidSplit(let path, _, _), .unnumberedPart(let path, _), .missingParts(let path, _):
      path
    case .file, .cannotStore, .cannotLayOut: nil
    }
  }
}
