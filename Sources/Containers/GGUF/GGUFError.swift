public import Bytes
public import IR
public import SystemPackage

/// Why a file is not GGUF that we read, or why a model cannot become such a file.
///
/// `offset` counts bytes from the start of the file. `rule` is the number of the rule in Formats/Specs/gguf.md.
public enum GGUFError: Error, Hashable, Sendable {
  /// The operating system refused, or the file changed while it was read.
  case file(FileError)
  /// The first four bytes are not `GGUF`.
  case notGGUF(path: FilePath)
  /// Written for a machine of the other byte order.
  case bigEndian(path: FilePath)
  /// A version other than 2 and 3.
  case unsupportedVersion(path: FilePath, version: UInt32)
  /// The file ends inside `item`; `name` is the key or tensor being read, empty before the first.
  case truncated(path: FilePath, item: String, name: ByteString, offset: Int)
  /// A count or length that the rest of the file could not hold, even of the smallest items.
  case impossibleCount(path: FilePath, item: String, name: ByteString, count: UInt64, offset: Int)
  /// More of something than `Limits` allow.
  case limitExceeded(path: FilePath, item: String, name: ByteString, limit: Int, offset: Int)
  /// A key or a tensor's name of no bytes.
  case emptyName(path: FilePath, item: String, offset: Int)
  /// A metadata key stands twice.
  case duplicateKey(path: FilePath, key: ByteString, offset: Int)
  /// A value or an array element of a type that the format does not know.
  case unknownValueType(path: FilePath, key: ByteString, type: UInt32, offset: Int)
  /// A truth value that is neither 0 nor 1.
  case invalidBool(path: FilePath, key: ByteString, value: UInt8, offset: Int)
  /// `general.alignment` is not a power of two of at least 8, or not a uint32.
  case invalidAlignment(path: FilePath, value: String)
  /// A tensor's name stands twice.
  case duplicateTensor(path: FilePath, tensor: ByteString, offset: Int)
  /// More than four axes.
  case tooManyDimensions(path: FilePath, tensor: ByteString, count: UInt32, offset: Int)
  /// The element or byte count does not fit a machine integer.
  case shapeTooLarge(path: FilePath, tensor: ByteString, dimensions: [UInt64], offset: Int)
  /// A block type that we do not know, or that ggml has withdrawn (then `name` says which).
  case unknownTensorType(path: FilePath, tensor: ByteString, type: UInt32, name: String?, offset: Int)
  /// The rows' length is no multiple of the block's.
  case partialBlock(path: FilePath, tensor: ByteString, columns: Int, format: BlockFormat, offset: Int)
  /// Data that does not begin at a multiple of the alignment.
  case misaligned(path: FilePath, tensor: ByteString, dataOffset: UInt64, alignment: Int, offset: Int)
  /// Data reaching past the end of the file.
  case outOfRange(
    path: FilePath, tensor: ByteString, dataOffset: UInt64, byteCount: Int, fileByteCount: Int, offset: Int)
  /// Two tensors share the bytes at `offset`.
  case overlap(path: FilePath, tensor: ByteString, other: ByteString, offset: Int)

  /// One of `split.no`, `split.count`, `split.tensors.count` is missing or contradicts the other parts.
  case invalidSplit(path: FilePath, key: ByteString, reason: String)
  /// A part of a split model whose name does not end in `-00001-of-00003.gguf`, so that the others cannot be found.
  case unnumberedPart(path: FilePath, expectedSuffix: String)
  /// Parts of a split model are not beside this one.
  case missingParts(path: FilePath, names: [String])

  /// A tensor that GGUF, or llama.cpp reading it, cannot hold.
  case cannotStore(tensor: ByteString, reason: String)
  /// An alignment that is not a power of two of at least 8, or more parts than can be numbered.
  case cannotLayOut(reason: String)
}

extension GGUFError {
  /// The number of the rule that is broken, in Formats/Specs/gguf.md; nil for the operating system's errors.
  public var rule: Int? {
    switch self {
    case .file: nil
    case .notGGUF: 1
    case .bigEndian: 2
    case .unsupportedVersion: 3
    case .truncated: 4
    case .impossibleCount: 5
    case .limitExceeded: 6
    case .emptyName: 7
    case .duplicateKey: 8
    case .unknownValueType: 9
    case .invalidBool: 10
    case .invalidAlignment: 11
    case .duplicateTensor: 12
    case .tooManyDimensions: 13
    case .shapeTooLarge: 14
    case .unknownTensorType: 15
    case .partialBlock: 16
    case .misaligned: 17
    case .outOfRange: 18
    case .overlap: 19
    case .invalidSplit: 20
    case .unnumberedPart: 21
    case .missingParts: 22
    case .cannotStore: 23
    case .cannotLayOut: 24
    }
  }
}

extension GGUFError: CustomStringConvertible {
  public var description: String { rule.map { "\(message) [GGUF-\($0)]" } ?? message }

  private var message: String {
    switch self {
    case .file(let error): "\(error)"
    case .notGGUF(let path): "\(path): not a GGUF file: it does not begin with \"GGUF\""
    case .bigEndian(let path):
      "\(path): big-endian GGUF, which we do not read; convert it with llama.cpp's gguf_convert_endian.py"
    case .unsupportedVersion(let path, let version):
      "\(path): GGUF version \(version); we read 2 and 3"
        + (version == 1 ? " (1 had 32-bit counts and left use in 2023): convert the original checkpoint again" : "")
    case .truncated(let path, let item, let name, let offset):
      "\(path): the file ends inside \(item)\(quoted(name)), at offset \(offset); fetch the file again"
    case .impossibleCount(let path, let item, let name, let count, let offset):
      "\(path): \(count) \(item)\(quoted(name)), at offset \(offset), are more than the rest of the file could hold"
    case .limitExceeded(let path, let item, let name, let limit, let offset):
      "\(path): more than \(limit) \(item)\(quoted(name)), at offset \(offset)"
    case .emptyName(let path, let item, let offset): "\(path): \(item) without a name at offset \(offset)"
    case .duplicateKey(let path, let key, let offset):
      "\(path): key \"\(key)\" stands twice, again at offset \(offset)"
    case .unknownValueType(let path, let key, let type, let offset):
      "\(path): key \"\(key)\": unknown value type \(type) at offset \(offset)"
    case .invalidBool(let path, let key, let value, let offset):
      "\(path): key \"\(key)\": \(value) at offset \(offset) is no truth value"
    case .invalidAlignment(let path, let value):
      "\(path): general.alignment is \(value), not a uint32 that is a power of two of at least 8"
    case .duplicateTensor(let path, let tensor, let offset):
      "\(path): tensor \(tensor) stands twice, again at offset \(offset)"
    case .tooManyDimensions(let path, let tensor, let count, let offset):
      "\(path): tensor \(tensor): \(count) axes at offset \(offset); there may be 4"
    case .shapeTooLarge(let path, let tensor, let dimensions, let offset):
      "\(path): tensor \(tensor): shape \(dimensions) is too large, at offset \(offset)"
    case .unknownTensorType(let path, let tensor, let type, let name, let offset):
      "\(path): tensor \(tensor): unknown block type \(type)\(name.map { " (\($0))" } ?? "") at offset \(offset)"
    case .partialBlock(let path, let tensor, let columns, let format, let offset):
      "\(path): tensor \(tensor): rows of \(columns) do not fill \(format.name) blocks of "
        + "\(format.elementsPerBlock), at offset \(offset)"
    case .misaligned(let path, let tensor, let dataOffset, let alignment, let offset):
      "\(path): tensor \(tensor): data at \(dataOffset) is not aligned to \(alignment), at offset \(offset)"
    case .outOfRange(let path, let tensor, let dataOffset, let byteCount, let fileByteCount, let offset):
      "\(path): tensor \(tensor) (described at offset \(offset)): its \(byteCount) bytes at \(dataOffset) of the data "
        + "reach past the end of the file at \(fileByteCount); if the download was cut short, fetch the file again"
    case .overlap(let path, let tensor, let other, let offset):
      "\(path): tensors \(tensor) and \(other) share the bytes at offset \(offset)"
    case .invalidSplit(let path, let key, let reason): "\(path): \(key): \(reason)"
    case .unnumberedPart(let path, let expectedSuffix):
      "\(path): one part of a split model, but its name does not end in \(expectedSuffix); give it its name back"
    case .missingParts(let path, let names):
      "\(path): missing beside it: \(names.joined(separator: ", ")); fetch every part"
    case .cannotStore(let tensor, let reason): "tensor \(tensor): GGUF cannot hold it: \(reason)"
    case .cannotLayOut(let reason): "GGUF: \(reason)"
    }
  }

  private func quoted(_ name: ByteString) -> String { name.isEmpty ? "" : " \"\(name)\"" }
}
