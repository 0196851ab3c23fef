public import Bytes
public import SystemPackage

/// Why a pickle cannot be read as data. `rule` is the number of the rule in Formats/Specs/archives.md.
public enum PickleError: Error, Hashable, Sendable {
  /// The operating system refused, or the file changed while it was read.
  case file(FileError)
  /// The stream ends before its STOP.
  case truncated(path: FilePath, offset: Int)
  /// A byte that is no opcode, or a protocol later than 5.
  case unknownOpcode(path: FilePath, opcode: UInt8, offset: Int)
  /// An opcode that could do more than build data.
  case refusedOpcode(path: FilePath, name: String, offset: Int)
  /// The stream names a class or function that the reader does not allow.
  case refusedGlobal(path: FilePath, name: String, offset: Int)
  /// An opcode finds too little on the stack, or something it cannot work on.
  case invalidStack(path: FilePath, opcode: UInt8, offset: Int)
  /// A memo slot is read that was never filled.
  case missingMemo(path: FilePath, slot: Int, offset: Int)
  /// A number or a string that is not spelled as its opcode demands.
  case invalidLiteral(path: FilePath, opcode: UInt8, offset: Int)
  /// More of something than `Limits` allow.
  case limitExceeded(path: FilePath, item: String, limit: Int, offset: Int)
}

extension PickleError {
  public var rule: Int? {
    switch self {
    case .file: nil
    case .truncated: 1
    case .unknownOpcode: 2
    case .refusedOpcode: 3
    case .refusedGlobal: 4
    case .invalidStack: 5
    case .missingMemo: 6
    case .invalidLiteral: 7
    case .limitExceeded: 8
    }
  }

  /// From the start of the file, in bytes.
  public var offset: Int {
    switch self {
    case .file: 0
    case .truncated(_, let offset), .unknownOpcode(_, _, let offset), .refusedOpcode(_, _, let offset),
      .refusedGlobal(_, _, let offset), .invalidStack(_, _, let offset), .missingMemo(_, _, let offset),
      .invalidLiteral(_, _, let offset), .limitExceeded(_, _, _, let offset):
      offset
    }
  }
}

extension PickleError: CustomStringConvertible {
  public var description: String { rule.map { "\(message) [PICKLE-\($0)]" } ?? message }

  private var message: String {
    switch self {
    case .file(let error): "\(error)"
    case .truncated(let path, let offset):
      "\(path): the pickle ends too early, at offset \(offset); fetch the file again"
    case .unknownOpcode(let path, let opcode, let offset):
      "\(path): no pickle opcode \(opcode), at offset \(offset)"
    case .refusedOpcode(let path, let name, let offset):
      "\(path): the pickle wants to run code (\(name)), at offset \(offset); we read data only"
    case .refusedGlobal(let path, let name, let offset):
      "\(path): the pickle names \(name), at offset \(offset), which is not among what a checkpoint needs; "
        + "it was not run: save the tensors alone, or as safetensors"
    case .invalidStack(let path, let opcode, let offset):
      "\(path): pickle opcode \(opcode) does not fit what precedes it, at offset \(offset)"
    case .missingMemo(let path, let slot, let offset):
      "\(path): the pickle reads memo \(slot), which nothing has filled, at offset \(offset)"
    case .invalidLiteral(let path, let opcode, let offset):
      "\(path): pickle opcode \(opcode) has a value that is misspelled or too large, at offset \(offset)"
    case .limitExceeded(let path, let item, let limit, let offset):
      "\(path): more than \(limit) \(item) in the pickle, at offset \(offset)"
    }
  }
}
