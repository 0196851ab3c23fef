public import Bytes
public import SystemPackage

/// Why a file is not what a container's reader reads: where, which tensor or key, and the reason.
///
/// The containers with errors of their own (GGUF, safetensors, PyTorch, NumPy) came first; all others share this one.
public enum ContainerError: Error, Hashable, Sendable {
  /// The operating system refused, or the file changed while it was read.
  case file(FileError)
  /// The bytes contradict the format, or each other.
  case malformed(Place, reason: String)
  /// Sound, as far as we see, and something that we do not read.
  case unsupported(Place, reason: String)
  /// More of something than `Limits` allow.
  case limitExceeded(Place, item: String, limit: Int)

  /// Where in which file.
  public struct Place: Hashable, Sendable {
    public let path: FilePath
    /// The format as people call it: `HDF5`.
    public let container: String
    /// Of the tensor or key; empty where there is none.
    public let name: ByteString
    /// From the start of the file, in bytes.
    public let offset: Int

    public init(_ path: FilePath, _ container: String, name: ByteString = "", offset: Int = 0) {
      self.path = path
      self.container = container
      self.name = name
      self.offset = offset
    }
  }

  public var place: Place? {
    switch self {
    case .file: nil
    case .malformed(let place, _), .unsupported(let place, _), .limitExceeded(let place, _, _): place
    }
  }
}

extension ContainerError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .malformed(let place, let reason): "\(shown(place)): \(reason), at offset \(place.offset)"
    case .unsupported(let place, let reason): "\(shown(place)): \(reason), which is not read, at offset \(place.offset)"
    case .limitExceeded(let place, let item, let limit):
      "\(shown(place)): more than \(limit) \(item), at offset \(place.offset)"
    }
  }

  private func shown(_ place: Place) -> String {
    "\(place.path): \(place.container)\(place.name.isEmpty ? "" : ": \(place.name)")"
  }
}
