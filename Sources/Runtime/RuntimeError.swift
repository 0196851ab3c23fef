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
  /// More positions than the session was made for.
  case contextExceeded(positions: Int, capacity: Int)
  case invalidToken(id: Int, vocabularySize: Int)
  /// The kernels have no such heads.
  case headTooWide(Int, limit: Int)

  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .catalog(let error): "\(error)"
    case .missingTensor(let name): "tensor \(name) is missing"
    case .undecodable(let tensor, let format): "tensor \(tensor) is \(format.name), which cannot be computed with yet"
    case .contextExceeded(let positions, let capacity): "\(positions) positions exceed the context of \(capacity)"
    case .invalidToken(let id, let size): "token \(id) is not in the vocabulary of \(size)"
    case .headTooWide(let width, let limit): "heads of \(width) elements cannot be computed with; the most is \(limit)"
    }
  }
}
