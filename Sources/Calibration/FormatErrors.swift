import Bytes
import Codecs
import IR
import Kernels
import Passes

/// What a tensor's outputs lose in each format that fits it, and its bytes in one of them.
struct FormatErrors {
  let name: ByteString
  /// The format whose bytes are kept.
  let probe: BlockFormat
  private(set) var bytes: [UInt8]
  private var errors: [(codec: Codec, byteCount: Int, error: Double)] = []

  /// Nil where no format fits.
  init?(_ tensor: TensorRef, kernels: Kernels) {
    guard tensor.shape.dimensions.count > 1, tensor.shape.columns % 32 == 0 else { return nil }
    for format in SensitivityEstimator.candidates {
      guard let row = format.byteCount(elements: tensor.shape.columns),
        let codec = Codec.for(format, kernels: kernels)
      else { continue }
      errors.append((codec, row * tensor.shape.rows, 0))
    }
    guard let probe = errors.first(where: { $0.codec.format == .iq4_NL }) ?? errors.first else { return nil }
    self.probe = probe.codec.format
    name = tensor.name
    bytes = [UInt8](repeating: 0, count: probe.byteCount)
  }

  var hasErrors: Bool { errors.contains { $0.error > 0 } }

  /// Adds the errors of some rows. `shares`: how often each row counts; once where not given.
  mutating func add(
    _ rows: Range<Int>, _ weights: Matrix, _ hessian: InputHessian, shares: [Double]? = nil, on processor: Processor
  ) throws(CalibrationError) {
    for index in errors.indices {
      let blocks = errors[index].codec.encode(weights, hessian: hessian, sweeps: 0, on: processor)
      for (row, error) in zip(rows, blocks.rowErrors) {
        guard error.isFinite else { throw .notFinite(tensor: name) }
        errors[index].error += error * (shares.map { $0[row] } ?? 1)
      }
      if errors[index].codec.format == probe {
        let start = rows.lowerBound * (blocks.bytes.count / max(1, rows.count))
        bytes.replaceSubrange(start..<start + blocks.bytes.count, with: blocks.bytes)
      }
    }
  }

  /// Losses in proportion to the errors, given what the probe's cost.
  func choices(price: Double) -> TensorChoices {
    let unit = errors.first { $0.codec.format == probe }?.error ?? 0
    return TensorChoices(
      name: name,
      choices: errors.map {
        // A divergence below zero is rounding: the tensor hardly matters.
        .init(
          format: $0.codec.format, byteCount: $0.byteCount,
          loss: unit > 0 ? max(price, 1e-12) * $0.error / unit : 0)
      })
  }
}
