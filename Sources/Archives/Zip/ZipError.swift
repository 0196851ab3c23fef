public import Bytes
public import SystemPackage

/// Why a file is not a zip archive that we read. `rule` is the number of the rule in Formats/Specs/archives.md.
public enum ZipError: Error, Hashable, Sendable {
  /// The operating system refused, or the file changed while it was read.
  case file(FileError)
  /// No end record: not an archive, or a truncated one.
  case notAnArchive(path: FilePath)
  /// The directory does not lie where the end record says, or is not of as many entries.
  case invalidDirectory(path: FilePath, reason: String, offset: Int)
  /// Two entries of one name, or one without a name.
  case invalidName(path: FilePath, entry: ByteString, offset: Int)
  /// The entry's own header contradicts the directory, or its data does not lie before it.
  case invalidEntry(path: FilePath, entry: ByteString, reason: String, offset: Int)
  /// Compressed, encrypted, or in another volume.
  case unsupported(path: FilePath, entry: ByteString, reason: String, offset: Int)
  /// More of something than `Limits` allow.
  case limitExceeded(path: FilePath, item: String, limit: Int, offset: Int)
}

extension ZipError {
  public var rule: Int? {
    switch self {
    case .file: nil
    case .notAnArchive: 1
    case .invalidDirectory: 2
    case .invalidName: 3
    case .invalidEntry: 4
    case .unsupported: 5
    case .limitExceeded: 6
    }
  }

  /// From the start of the file, in bytes; 0 where the fault has no place of its own.
  public var offset: Int {
    switch self {
    case .file, .notAnArchive: 0
    case .invalidDirectory(_, _, let offset), .invalidName(_, _, let offset), .invalidEntry(_, _, _, let offset),
      .unsupported(_, _, _, let offset), .limitExceeded(_, _, _, let offset):
      offset
    }
  }

  /// The entry concerned; empty where there is none.
  public var name: ByteString {
    switch self {
    case .invalidName(_, let entry, _), .invalidEntry(_, let entry, _, _), .unsupported(_, let entry, _, _): entry
    case .file, .notAnArchive, .invalidDirectory, .limitExceeded: ""
    }
  }
}

extension ZipError: CustomStringConvertible {
  public var description: String { rule.map { "\(message) [ZIP-\($0)]" } ?? message }

  private var message: String {
    switch self {
    case .file(let error): "\(error)"
    case .notAnArchive(let path): "\(path): no zip archive, or one that was cut short; fetch the file again"
    case .invalidDirectory(let path, let reason, let offset): "\(path): zip directory: \(reason), at offset \(offset)"
    case .invalidName(let path, let entry, let offset):
      "\(path): zip entry \"\(entry)\" \(entry.isEmpty ? "has no name" : "stands twice"), at offset \(offset)"
    case .invalidEntry(let path, let entry, let reason, let offset):
      "\(path): zip entry \(entry): \(reason), at offset \(offset)"
    case .unsupported(let path, let entry, let reason, let offset):
      "\(path): zip entry \(entry) is \(reason), at offset \(offset); write it again stored, without compression"
    case .limitExceeded(let path, let item, let limit, let offset):
      "\(path): more than \(limit) \(item) in the zip archive, at offset \(offset)"
    }
  }
}
