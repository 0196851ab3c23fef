public import Bytes
public import IR

/// Why a tokenizer cannot be read, built, written or run. `path` is the place in the JSON file or the metadata key.
public enum TokenizerError: Error, Hashable, Sendable {
  case json(file: String, JSONError)
  case missing(path: String)
  case wrongType(path: String, expected: String)
  case invalid(path: String, String)
  case unsupported(path: String, String)
  case duplicateID(path: String, id: Int)
  case duplicateToken(ByteString, ids: [Int])
  /// No token has this id.
  case hole(id: Int, vocabularyCount: Int)
  case regex(path: String, pattern: ByteString, RegexError)
  case unknownID(Int, vocabularyCount: Int)
  /// The format that is written has no place for a vocabulary of this kind.
  case algorithm(TokenizerModel.Algorithm)
}

extension TokenizerError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .json(let file, let error): "\(file): \(error)"
    case .missing(let path): "\(path) is missing"
    case .wrongType(let path, let expected): "\(path) is not \(expected)"
    case .invalid(let path, let what): "\(path): \(what)"
    case .unsupported(let path, let what): "\(path): \(what) is not supported"
    case .duplicateID(let path, let id): "\(path): token id \(id) stands twice"
    case .duplicateToken(let token, let ids): "token \"\(token)\" has several ids: \(ids)"
    case .hole(let id, let count): "no token has the id \(id), of \(count)"
    case .regex(let path, let pattern, let error): "\(path): pattern \"\(pattern)\": \(error)"
    case .unknownID(let id, let count): "token id \(id) is outside the vocabulary of \(count)"
    case .algorithm(let algorithm): "a \(algorithm.rawValue) vocabulary cannot be written in this format"
    }
  }
}
