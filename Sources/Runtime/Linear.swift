import Bytes
import Kernels

/// y = x · weightsᵀ + bias.
struct Linear {
  let weights: WeightMatrix
  let bias: Floats?

  /// `name` without `.weight` or `.bias`.
  init(_ name: String, from loader: WeightLoader) throws(RuntimeError) {
    weights = try loader.matrix(ByteString(name + ".weight"))
    bias = try loader.optionalVector(ByteString(name + ".bias"))
  }

  /// This layer's product, to be computed together with others of the same input.
  func product(into out: Matrix) -> Product { Product(weights, into: out, bias: bias) }

  func apply(_ input: ProductInput, into out: Matrix, accumulate: Bool = false, on processor: Processor) {
    processor.multiply(input, weights, into: out, bias: bias, accumulate: accumulate)
  }
}
