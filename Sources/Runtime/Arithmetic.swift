/// How products with packed weights are computed.
public enum Arithmetic: String, Sendable, CaseIterable {
  /// Weights are decoded and multiplied in F32; the cache is F32. What the stored numbers say, no more loss.
  case exact
  /// Inputs are rounded to int8 block by block where the weights' format has integer kernels; the cache is F16.
  case fast
}
