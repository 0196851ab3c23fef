/// Why a kernel table could not be chosen by name.
public enum KernelSelectionError: Error, Equatable, CustomStringConvertible {
  /// No table of this build has the name.
  case unknown(name: String, known: [String])
  /// The processor (or operating system) lacks what the table needs.
  case unsupported(name: String, features: String, available: [String])

  public var description: String {
    switch self {
    case .unknown(let name, let known):
      "no instruction set is called '\(name)': this build has \(known.joined(separator: ", "))"
    case .unsupported(let name, let features, let available):
      "this processor cannot run '\(name)', which needs \(features): "
        + "it can run \(available.joined(separator: ", "))"
    }
  }
}
