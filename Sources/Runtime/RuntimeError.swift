public import Bytes
public import Catalog
public import IR

/// Why a model cannot be run.
public enum RuntimeError: Error, Sendable, CustomStringConvertible {
  case file(FileError)
  case catalog(CatalogError)
  /// Runs need the tensor and the model has none of this name.
  case missingTensor(ByteString)
  /// No codec decodes the format.
  case undecodable(tensor: ByteString, format: BlockFormat)
  /// The tensor does not fit the others; `expected` says how it would.
  case misshapen(tensor: ByteString, found: Shape, expected: String)
  /// More positions than the session was made for, or than the model has.
  case contextExceeded(positions: Int, capacity: Int)
  case invalidToken(id: Int, vocabularySize: Int)
  /// A token's type (segment, task) that the model does not have.
  case invalidType(id: Int, count: Int)
  /// The kernels have no such heads.
  case headTooWide(Int, limit: Int)
  /// The model has no such output, or is of another kind than the call needs.
  case unsupported(String)

  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .catalog(let error): "\(error)"
    case .missingTensor(let name): "tensor \(name) is missing"
    case .undecodable(let tensor, let format): "tensor \(tensor) is \(format.name), which cannot be computed with yet"
    case .misshapen(let tensor, let found, let expected): "tensor \(tensor) is \(found) and not \(expected)"
    case .contextExceeded(let positions, let capacity): "\(positions) positions exceed the context of \(capacity)"
    case .invalidToken(let id, let size): "token \(id) is not in the vocabulary of \(size)"
    case .invalidType(let id, let count): "type \(id) is not one of the \(count) of this model"
    case .headTooWide(let width, let limit): "heads of \(width) elements cannot be computed with; the most is \(limit)"
    case .unsupported(let detail): detail
    }
  }
}
