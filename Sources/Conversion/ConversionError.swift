public import Bytes
public import Calibration
public import Catalog
public import GGUF
public import IR
public import NumPy
public import Passes
public import PyTorch
public import Safetensors
public import SystemPackage
public import Tokenizers

/// Why a model could not be opened, converted or written.
public enum ConversionError: Error, Sendable {
  case file(FileError)
  case safetensors(SafetensorsError)
  case gguf(GGUFError)
  case pytorch(PyTorchError)
  case numpy(NumPyError)
  /// Of every other container.
  case container(ContainerError)
  case json(path: FilePath, JSONError)
  case tokenizer(path: FilePath, TokenizerError)
  /// The checkpoint and its family's descriptor disagree.
  case catalog(path: FilePath, CatalogError)
  case pass(PassError)
  case calibration(path: FilePath, CalibrationError)
  /// The path is nothing we read; `detail` says what was looked for.
  case unrecognized(path: FilePath, detail: String)
  /// A value in the model that the chosen container or runtime cannot express.
  case inexpressible(String)

  /// The input's fault rather than the system's or the user's.
  public var isMalformedInput: Bool {
    switch self {
    case .file(let error): Self.isMalformed(error)
    case .json, .tokenizer, .catalog, .unrecognized: true
    case .safetensors(.file(let error)), .gguf(.file(let error)), .pytorch(.file(let error)),
      .numpy(.file(let error)), .container(.file(let error)):
      Self.isMalformed(error)
    case .safetensors(.cannotStore), .gguf(.cannotLayOut): false
    case .safetensors, .gguf, .pytorch, .numpy, .container: true
    case .calibration(_, .textTooShort), .calibration(_, .unsupported), .calibration(_, .file): false
    case .calibration: true
    case .pass, .inexpressible: false
    }
  }

  private static func isMalformed(_ error: FileError) -> Bool {
    switch error {
    case .truncated, .notARegularFile, .compression, .damaged: true
    case .system, .exists, .notADirectory, .occupied: false
    }
  }
}

extension ConversionError: CustomStringConvertible {
  /// What to do about a file that contradicts itself: most often its download ended early.
  private static func advice(_ error: ContainerError) -> String {
    guard case .malformed(_, let reason) = error, !reason.contains("fetch"), !reason.contains("not run") else {
      return ""
    }
    return "; if the file was cut short or changed on its way, fetch it again"
  }

  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .safetensors(let error): "\(error)"
    case .gguf(let error): "\(error)"
    case .pytorch(let error): "\(error)"
    case .numpy(let error): "\(error)"
    case .container(let error): "\(error)\(Self.advice(error))"
    case .json(let path, let error): "\(path): \(error)"
    case .tokenizer(let path, let error): "\(path): \(error)"
    case .catalog(let path, let error):
      "\(error)".split(separator: "\n").map { "\(path): \($0)" }.joined(separator: "\n")
    case .pass(let error): "\(error)"
    case .calibration(let path, let error): "\(path): \(error)"
    case .unrecognized(let path, let detail): "\(path): \(detail)"
    case .inexpressible(let problem): problem
    }
  }
}
