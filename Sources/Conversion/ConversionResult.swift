public import Bytes
public import Catalog
public import Codecs
public import IR

/// What a conversion did: every tensor accounted for.
public struct ConversionResult: Sendable {
  public struct Tensor: Sendable {
    /// Canonical.
    public let name: ByteString
    public let from: BlockFormat
    public let to: BlockFormat
    public let elementCount: Int
    /// Of the encoding; nil for a tensor that kept its bytes.
    public let statistics: RecodeStatistics?
    /// With calibration: the squared error of the layer's output ÷ its squared weights, scaled by its inputs.
    public let outputError: Double?

    public var rootMeanSquareError: Double? {
      statistics.map { ($0.squaredError / Double(max(1, elementCount))).squareRoot() }
    }

    /// Root mean square error ÷ root mean square.
    public var relativeError: Double? {
      statistics.map { $0.squaredSum > 0 ? ($0.squaredError / $0.squaredSum).squareRoot() : 0 }
    }
  }

  public let container: OutputContainer
  /// Of all files written.
  public let fileByteCount: Int
  public let bitsPerWeight: Double
  public let tensors: [Tensor]
  public let match: MatchReport
  /// The output's names.
  public let produced: [ByteString]
  public var warnings: [String]

  /// The pairs of formats that occur among converted tensors, in order of appearance.
  public var changes: [(from: BlockFormat, to: BlockFormat)] {
    var result: [(from: BlockFormat, to: BlockFormat)] = []
    for tensor in tensors
    where tensor.from != tensor.to && !result.contains(where: { $0.from == tensor.from && $0.to == tensor.to }) {
      result.append((tensor.from, tensor.to))
    }
    return result
  }
}
