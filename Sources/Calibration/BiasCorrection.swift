import Bytes
import IR
import Kernels

/// Means of a layer's inputs over tokens, as the full-precision model makes them and as its quantized layers do, for
/// layers with a bias: what rounding adds to the mean of an output is taken out of the bias.
///
///     b' = b + W · E[x] + E[r] − Ŵ · E[x̂]
struct BiasCorrection {
  private var exact: [Double] = []
  private var rounded: [Double] = []
  private var residual: [Double] = []
  private var total = 0.0
  private let sums: MatrixSums

  init(_ processor: Processor) { sums = MatrixSums(processor) }

  /// - Parameters:
  ///   - lack: x − x̂; nil where both are the same.
  ///   - residual: what the residual stream lacks, for layers that add to it.
  mutating func add(_ input: Matrix, lack: Matrix?, residual: Matrix?, weights: Floats?) {
    sums.addMean(input, weights: weights, to: &rounded)
    sums.addMean(lack ?? input, weights: weights, to: &exact)
    if let residual { sums.addMean(residual, weights: weights, to: &self.residual) }
    total += weights?.array().reduce(0) { $0 + Double($1) } ?? Double(input.rows)
    hasLack = lack != nil
  }
  private var hasLack = false

  /// The bias for weights that became `decoded`.
  func corrected(_ bias: Floats, weights: Matrix, decoded: Matrix) -> Floats {
    let result = Floats(bias.array())
    guard total > 0 else { return result }
    for row in 0..<weights.rows {
      var shift = residual.isEmpty ? 0 : residual[row]
      weights[row].withSpan { weights in
        decoded[row].withSpan { decoded in
          for column in 0..<weights.count {
            let quantized = rounded[column]
            let full = hasLack ? quantized + exact[column] : quantized
            shift += Double(weights[column]) * full - Double(decoded[column]) * quantized
          }
        }
      }
      guard shift.isFinite else { continue }
      result.withMutableSpan { $0[row] += Float(shift / total) }
    }
    return result
  }
}

extension EncodedTensor {
  /// A vector of floats that calibration changed.
  init(vector: Floats, named name: ByteString) {
    var bytes = ByteWriter()
    for value in vector.array() { bytes.append(value) }
    self.init(
      name: name, format: .f32, bytes: bytes.bytes, outputError: nil, statistics: .init())
  }
}
