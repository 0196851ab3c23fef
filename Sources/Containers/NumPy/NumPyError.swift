public import Archives
public import Bytes
public import SystemPackage

/// Why a file is not a NumPy array or archive that we read. `rule` is the number of the rule in Formats/Specs/numpy.md.
/// `array` is the archive's entry, empty for a file of one array; `offset` counts bytes from the start of the file.
public enum NumPyError: Error, Hashable, Sendable {
  /// The operating system refused, or the file changed while it was read.
  case file(FileError)
  /// The archive of arrays is broken, or compressed.
  case zip(ZipError)
  /// No `\x93NUMPY`, or a version after 3.
  case notNumPy(path: FilePath, array: ByteString, offset: Int)
  /// The header reaches past the end, or is longer than we are willing to hold.
  case truncated(path: FilePath, array: ByteString, offset: Int)
  /// The header is not the dictionary it should be.
  case invalidHeader(path: FilePath, array: ByteString, reason: String, offset: Int)
  /// A `descr` that we cannot hold: Python objects, records, complex numbers, text.
  case unknownType(path: FilePath, array: ByteString, type: String, offset: Int)
  /// The shape's element or byte count does not fit a machine integer, or it has too many axes.
  case shapeTooLarge(path: FilePath, array: ByteString, offset: Int)
  /// The shape needs another number of bytes than follow the header.
  case sizeMismatch(path: FilePath, array: ByteString, needed: Int, found: Int, offset: Int)
  /// An entry of the archive that is no `NAME.npy`.
  case invalidEntry(path: FilePath, array: ByteString, offset: Int)
}

extension NumPyError {
  public var rule: Int? {
    switch self {
    case .file, .zip: nil
    case .notNumPy: 1
    case .truncated: 2
    case .invalidHeader: 3
    case .unknownType: 4
    case .shapeTooLarge: 5
    case .sizeMismatch: 6
    case .invalidEntry: 7
    }
  }

  /// `NUMPY-3`, `ZIP-5`: the rule by its full name, whichever layer states it.
  public var ruleName: String? {
    if case .zip(let error) = self { return error.rule.map { "ZIP-\($0)" } }
    return rule.map { "NUMPY-\($0)" }
  }

  public var offset: Int {
    switch self {
    case .file: 0
    case .zip(let error): error.offset
    case .notNumPy(_, _, let offset), .truncated(_, _, let offset), .invalidHeader(_, _, _, let offset),
      .unknownType(_, _, _, let offset), .shapeTooLarge(_, _, let offset), .sizeMismatch(_, _, _, _, let offset),
      .invalidEntry(_, _, let offset):
      offset
    }
  }

  public var name: ByteString {
    switch self {
    case .file: ""
    case .zip(let error): error.name
    case .notNumPy(_, let name, _), .truncated(_, let name, _), .invalidHeader(_, let name, _, _),
      .unknownType(_, let name, _, _), .shapeTooLarge(_, let name, _), .sizeMismatch(_, let name, _, _, _),
      .invalidEntry(_, let name, _):
      name
    }
  }
}

extension NumPyError: CustomStringConvertible {
  public var description: String { rule.map { "\(message) [NUMPY-\($0)]" } ?? message }

  private var message: String {
    switch self {
    case .file(let error): "\(error)"
    case .zip(let error): "\(error)"
    case .notNumPy(let path, let array, let offset): "\(place(path, array)): no NumPy array at offset \(offset)"
    case .truncated(let path, let array, let offset):
      "\(place(path, array)): the header at offset \(offset) reaches past the end; fetch the file again"
    case .invalidHeader(let path, let array, let reason, let offset):
      "\(place(path, array)): header: \(reason), at offset \(offset)"
    case .unknownType(let path, let array, let type, let offset):
      "\(place(path, array)): type \(type), in the header at offset \(offset), is not one we read; "
        + "save plain numbers (array.astype(numpy.float32))"
    case .shapeTooLarge(let path, let array, let offset):
      "\(place(path, array)): the shape in the header at offset \(offset) is too large"
    case .sizeMismatch(let path, let array, let needed, let found, let offset):
      "\(place(path, array)): its shape needs \(needed) bytes, \(found) are there at offset \(offset)"
    case .invalidEntry(let path, let array, let offset):
      "\(path): entry \"\(array)\", at offset \(offset), is no .npy array"
    }
  }

  private func place(_ path: FilePath, _ array: ByteString) -> String {
    array.isEmpty ? "\(path)" : "\(path): array \(array)"
  }
}
