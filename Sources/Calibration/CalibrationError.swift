public import Bytes
public import Catalog
public import Runtime

/// Why a model cannot be calibrated.
public enum CalibrationError: Error, Sendable, CustomStringConvertible {
  case file(FileError)
  case catalog(CatalogError)
  case runtime(RuntimeError)
  /// Layers that share weights have no inputs of their own.
  case sharedLayers
  case missingTensor(ByteString)
  /// A block holds what the calibration's own forward pass does not compute.
  case unsupported(tensor: ByteString)
  case undecodable(tensor: ByteString, format: String)
  /// Fewer tokens than a window.
  case textTooShort(tokens: Int, window: Int)
  /// Activations overflowed: the model (or a quantized part of it) is damaged.
  case notFinite(tensor: ByteString)

  /// What the runtime throws, as an error of calibration.
  static func wrapping<T>(_ body: () throws(RuntimeError) -> T) throws(CalibrationError) -> T {
    do { return try body() } catch { throw .runtime(error) }
  }

  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .catalog(let error): "\(error)"
    case .runtime(let error): "\(error)"
    case .sharedLayers:
      "this model's layers share their weights, which cannot be calibrated yet; leave --calibrate away"
    case .missingTensor(let name): "tensor \(name) is missing"
    case .unsupported(let name):
      "\(name) belongs to a kind of block that calibration cannot run yet; leave --calibrate away"
    case .undecodable(let name, let format): "tensor \(name) is \(format), which cannot be read as floats"
    case .textTooShort(let tokens, let window):
      "the calibration text has \(tokens) tokens, less than one window of \(window): take a longer text"
    case .notFinite(let name): "the inputs of \(name) are not finite: the model overflows on this text"
    }
  }
}
