import Catalog
import Kernels

/// A norm over rows, or over each head of a row alone.
struct Norm: Sendable {
  let kind: Graph.Normalization
  let weight: Floats
  let bias: Floats?
  let epsilon: Float

  /// `parts`: equal parts of a row that are normed each alone.
  func apply(_ x: Matrix, parts: Int = 1, into out: Matrix, on processor: Processor) {
    switch kind {
    case .rms: processor.rmsNorm(x, weight: weight, epsilon: epsilon, parts: parts, into: out)
    case .layer: processor.layerNorm(x, weight: weight, bias: bias, epsilon: epsilon, parts: parts, into: out)
    }
  }

  var byteCount: Int { (weight.count + (bias?.count ?? 0)) * 4 }
}

extension WeightLoader {
  /// `name.weight` and, where the model has it, `name.bias`; nil where it has no such norm.
  func optionalNorm(
    _ name: String, width: Int, kind: Graph.Normalization, epsilon: Double
  ) throws(RuntimeError) -> Norm? {
    guard has(name + ".weight") else { return nil }
    return Norm(
      kind: kind, weight: try vector(name + ".weight", count: width),
      bias: try optionalVector(name + ".bias", count: width), epsilon: Float(epsilon))
  }
}
