public import Bytes
public import Catalog
public import Codecs
public import IR
public import Passes
public import SystemPackage

/// What a conversion did: every tensor accounted for.
public struct ConversionResult: Sendable {
  public struct Tensor: Sendable {
    /// Canonical.
    public let name: ByteString
    public let from: BlockFormat
    public let to: BlockFormat
    /// How a GPU library's scheme keeps it instead; nil for a block format.
    public let packing: PackingScheme?
    public let elementCount: Int
    /// Of the encoding; nil for a tensor that kept its bytes.
    public let statistics: RecodeStatistics?
    /// With calibration: the squared error of the layer's output ÷ its squared weights, scaled by its inputs.
    public let outputError: Double?

    /// What it is stored as, for people.
    public var storedAs: String { packing?.label ?? to.name }

    public var rootMeanSquareError: Double? {
      statistics.map { ($0.squaredError / Double(max(1, elementCount))).squareRoot() }
    }

    /// Root mean square error ÷ root mean square.
    public var relativeError: Double? {
      statistics.map { $0.squaredSum > 0 ? ($0.squaredError / $0.squaredSum).squareRoot() : 0 }
    }
  }

  public let container: OutputContainer
  /// What opens it: the path asked for, or the first part of a GGUF model in parts.
  public let path: FilePath
  /// Of all files written.
  public let fileByteCount: Int
  public let bitsPerWeight: Double
  public let tensors: [Tensor]
  public let match: MatchReport
  /// The output's names.
  public let produced: [ByteString]
  public var warnings: [String]

  /// Tensors that are stored as something else than before.
  public var changed: [Tensor] { tensors.filter { $0.from != $0.to || $0.packing != nil } }

  /// The pairs of formats that occur among them, in order of appearance.
  public var changes: [(from: String, to: String)] {
    var result: [(from: String, to: String)] = []
    for tensor in changed where !result.contains(where: { $0.from == tensor.from.name && $0.to == tensor.storedAs }) {
      result.append((tensor.from.name, tensor.storedAs))
    }
    return result
  }
}
