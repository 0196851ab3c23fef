public import Bytes
public import Codecs
public import IR
public import Kernels

/// How errors are fed forward.
public struct FeedbackSettings: Hashable, Sendable {
  /// Of the mean of H's diagonal, added to the diagonal. GPTQ's usual 0.01 trusts the text too much: with 0.1 to 0.3
  /// SmolLM2 lost a fifth less on other parts of the same text and half as much on another domain's, kjv-llama up to
  /// 5 % and 11 % less; from 1 on it costs.
  public var damping = 0.2
  /// Where losses are only foretold: that is what the text says, no more.
  static let forecastDamping = 0.01
  /// Passes of coordinate descent after the greedy one.
  public var sweeps = 2
  /// Each layer is fitted to the full-precision model's output, given the inputs that the quantized model produces
  /// (GPTAQ, Li et al. 2025), instead of to its own weights on full-precision inputs.
  public var isSequential = true

  /// Tokens count by how the loss answers to errors in them, where the gradient is known of all of them. Off: on
  /// kjv-llama's calibration text it lost 3 % (one sampled gradient per token is too noisy a weight).
  public var weighsTokens = false

  /// Layers that add to the residual stream are fitted to what the stream should be after them, errors of all layers
  /// before included. Off: on kjv-llama's calibration text it lost 1 %.
  public var fitsResidual = false
  /// Columns with large inputs get finer steps, made up for in the norm before, where that is measured to help. Off:
  /// error feedback leaves little for it, on kjv-llama nothing.
  public var scalesActivations = false

  public init() {}
}

/// What encoding a tensor gave.
public struct EncodedTensor: Sendable {
  public let name: ByteString
  public let format: BlockFormat
  /// In the tensor's own rows.
  public let bytes: [UInt8]
  /// Instead of bytes, for a matrix that is packed for GPU libraries.
  public var groups: FeedbackGroups?
  /// Σ over rows of δ H δᵀ ÷ tokens, relative to the same of the weights themselves; nil without feedback.
  public let outputError: Double?
  /// Of the stored values against the weights.
  public let statistics: RecodeStatistics

  /// The same without its bytes, for the record.
  public func withoutBytes() -> EncodedTensor {
    EncodedTensor(name: name, format: format, bytes: [], outputError: outputError, statistics: statistics)
  }
}

extension EncodedTensor {
  /// From rows of it, in order; the output error is their mean.
  init(joining parts: [EncodedTensor], of name: ByteString, _ format: BlockFormat) {
    let errors = parts.compactMap(\.outputError)
    self.init(
      name: name, format: format, bytes: parts.flatMap(\.bytes),
      outputError: errors.isEmpty ? nil : errors.reduce(0, +) / Double(errors.count),
      statistics: parts.reduce(into: RecodeStatistics()) { $0 += $1.statistics })
  }
}

/// What the inputs x̂ that quantized layers make lack of those that they should be, x, summed over tokens.
struct InputCorrection {
  /// Σ x̂ (x − x̂)ᵀ [columns, columns]
  let difference: WeightMatrix
  /// Σ r x̂ᵀ [rows, columns], r what the residual stream lacks where the layer adds to it; nil for layers that do not.
  let residual: Matrix?
}

/// Encodes the matrices that share one input.
struct LayerEncoder {
  let settings: FeedbackSettings
  let processor: Processor

  /// - Parameters:
  ///   - correction: what the inputs lack; nil for a layer that is fitted to its own weights.
  ///   - decoded: whether the values are wanted back.
  func encode(
    _ tensor: TensorRef, as format: BlockFormat, weights: Matrix, hessian: InputHessian, correction: InputCorrection?,
    decoded: Matrix?
  ) -> EncodedTensor {
    guard let codec = Codec.for(format, kernels: processor.kernels), codec.canEncodeWithFeedback else {
      preconditionFailure("\(format.name) has no error feedback")
    }
    let targets = targets(weights, hessian, correction)
    let decoded = decoded ?? Matrix(rows: weights.rows, columns: weights.columns)
    let blocks = codec.encode(targets, hessian: hessian, sweeps: settings.sweeps, decoded: decoded, on: processor)
    let error = blocks.rowErrors.reduce(0, +)
    var statistics = Self.statistics(of: decoded, against: weights)
    statistics.nonFiniteCount = blocks.nonFiniteCount
    return EncodedTensor(
      name: tensor.name, format: format, bytes: blocks.bytes,
      outputError: error / max(statistics.squaredSum * hessian.scale, 1e-300), statistics: statistics)
  }

  /// The same of a whole tensor, a part of its rows at a time: a large vocabulary is never in memory as floats.
  func encodeSlabs(
    _ tensor: TensorRef, as format: BlockFormat, hessian: InputHessian, correction: InputCorrection?,
    _ reader: WeightReader
  ) throws(CalibrationError) -> EncodedTensor {
    let slab = 4096
    var parts: [EncodedTensor] = []
    for first in stride(from: 0, to: tensor.shape.rows, by: slab) {
      let weights = try reader.matrix(tensor, rows: first..<min(first + slab, tensor.shape.rows))
      parts.append(
        encode(tensor, as: format, weights: weights, hessian: hessian, correction: correction, decoded: nil))
    }
    return EncodedTensor(joining: parts, of: tensor.name, format)
  }

  /// The same onto groups that GPU libraries pack.
  func encode(
    _ tensor: TensorRef, on grid: GroupGrid, weights: Matrix, hessian: InputHessian, correction: InputCorrection?
  ) -> EncodedTensor {
    let groups = hessian.encodeGroups(grid, targets: targets(weights, hessian, correction), on: processor)
    let error = groups.rowErrors.reduce(0, +)
    var statistics = Self.statistics(of: groups.decoded, against: weights)
    statistics.nonFiniteCount = groups.nonFiniteCount
    return EncodedTensor(
      name: tensor.name, format: tensor.format, bytes: [], groups: groups,
      outputError: error / max(statistics.squaredSum * hessian.scale, 1e-300), statistics: statistics)
  }

  /// W' = W + (W · Σ (x − x̂) x̂ᵀ + Σ r x̂ᵀ) · H⁻¹: what the quantized inputs lack is made up for.
  private func targets(_ weights: Matrix, _ hessian: InputHessian, _ correction: InputCorrection?) -> Matrix {
    guard let correction else { return weights }
    let targets = Matrix(rows: weights.rows, columns: weights.columns)
    let input = ProductInput(tokens: min(weights.rows, 512), columns: weights.columns)
    for first in stride(from: 0, to: weights.rows, by: 512) {
      let rows = first..<min(first + 512, weights.rows)
      input.set(weights.rows(rows))
      processor.multiply(input, [Product(correction.difference, into: targets.rows(rows))])
    }
    if let residual = correction.residual { processor.add(targets, residual, into: targets) }
    hessian.solve(targets, on: processor)
    processor.add(targets, weights, into: targets)
    return targets
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
