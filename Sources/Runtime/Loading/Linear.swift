import Kernels

/// y = x · weightsᵀ + bias.
struct Linear: Sendable {
  let weights: WeightMatrix
  let bias: Floats?

  var rows: Int { weights.rows }
  var columns: Int { weights.columns }

  /// This layer's product, to be computed together with others of the same input.
  func product(into out: Matrix, accumulate: Bool = false) -> Product {
    Product(weights, into: out, bias: bias, accumulate: accumulate)
  }

  func apply(_ input: ProductInput, into out: Matrix, accumulate: Bool = false, on processor: Processor) {
    processor.multiply(input, weights, into: out, bias: bias, accumulate: accumulate)
  }

  var byteCount: Int { weights.byteCount + (bias?.count ?? 0) * 4 }
}

extension WeightLoader {
  /// `name.weight`, with `name.bias` where the model has it.
  func linear(_ name: String, rows: Int? = nil, columns: Int? = nil) throws(RuntimeError) -> Linear {
    let weights = try matrix(name + ".weight", rows: rows, columns: columns)
    return Linear(weights: weights, bias: try optionalVector(name + ".bias", count: weights.rows))
  }

  func optionalLinear(_ name: String, rows: Int? = nil, columns: Int? = nil) throws(RuntimeError) -> Linear? {
    has(name + ".weight") ? try linear(name, rows: rows, columns: columns) : nil
  }
}
