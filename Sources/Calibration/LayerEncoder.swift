public import Bytes
public import Codecs
public import IR
import Kernels

/// How errors are fed forward.
public struct FeedbackSettings: Hashable, Sendable {
  /// Of the mean of H's diagonal, added to the diagonal.
  public var damping = 0.01
  /// Passes of coordinate descent after the greedy one.
  public var sweeps = 2
  /// Each layer is fitted to the full-precision model's output, given the inputs that the quantized model produces
  /// (GPTAQ, Li et al. 2025), instead of to its own weights on full-precision inputs.
  public var isSequential = true

  public init() {}
}

/// What encoding a tensor gave.
public struct EncodedTensor: Sendable {
  public let name: ByteString
  public let format: BlockFormat
  /// In the tensor's own rows.
  public let bytes: [UInt8]
  /// Σ over rows of δ H δᵀ ÷ tokens, relative to the same of the weights themselves; nil without feedback.
  public let outputError: Double?
  /// Of the stored values against the weights.
  public let statistics: RecodeStatistics

  /// The same without its bytes, for the record.
  public func withoutBytes() -> EncodedTensor {
    EncodedTensor(name: name, format: format, bytes: [], outputError: outputError, statistics: statistics)
  }
}

/// Encodes the matrices that share one input.
struct LayerEncoder {
  let settings: FeedbackSettings
  let processor: Processor

  /// - Parameters:
  ///   - difference: Σ x̂ (x − x̂)ᵀ [columns, columns], where x̂ is what the weights will see and x what they should have
  ///     seen; nil for no correction.
  ///   - decoded: whether the values are wanted back.
  func encode(
    _ tensor: TensorRef, as format: BlockFormat, weights: Matrix, hessian: InputHessian, difference: WeightMatrix?,
    decoded: Matrix?
  ) -> EncodedTensor {
    guard let codec = Codec.for(format, kernels: processor.kernels), codec.canEncodeWithFeedback else {
      preconditionFailure("\(format.name) has no error feedback")
    }
    var targets = weights
    if let difference {
      // W' = W + W · Σ (x − x̂) x̂ᵀ · H⁻¹: what the quantized inputs lack is made up for.
      targets = Matrix(rows: weights.rows, columns: weights.columns)
      let input = ProductInput(tokens: min(weights.rows, 512), columns: weights.columns)
      for first in stride(from: 0, to: weights.rows, by: 512) {
        let rows = first..<min(first + 512, weights.rows)
        input.set(weights.rows(rows))
        processor.multiply(input, [Product(difference, into: targets.rows(rows))])
      }
      hessian.solve(targets, on: processor)
      processor.add(targets, weights, into: targets)
    }
    let decoded = decoded ?? Matrix(rows: weights.rows, columns: weights.columns)
    let blocks = codec.encode(targets, hessian: hessian, sweeps: settings.sweeps, decoded: decoded, on: processor)
    let error = blocks.rowErrors.reduce(0, +)
    var statistics = Self.statistics(of: decoded, against: weights)
    statistics.nonFiniteCount = blocks.nonFiniteCount
    return EncodedTensor(
      name: tensor.name, format: format, bytes: blocks.bytes,
      outputError: error / max(statistics.squaredSum * hessian.scale, 1e-300), statistics: statistics)
  }

  private static func statistics(of decoded: Matrix, against weights: Matrix) -> RecodeStatistics {
    var statistics = RecodeStatistics()
    weights.floats.withSpan { weights in
      decoded.floats.withSpan { decoded in
        for index in 0..<decoded.count where weights[index].isFinite {
          let (value, error) = (Double(weights[index]), Double(weights[index] - decoded[index]))
          statistics.squaredSum += value * value
          statistics.squaredError += error * error
        }
      }
    }
    return statistics
  }
}
