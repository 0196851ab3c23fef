import Kernels

/// How products with packed weights are computed.
public enum Arithmetic: String, Sendable, CaseIterable {
  /// Weights are decoded and multiplied in F32; the cache is F32, if nothing else is wanted. What the stored numbers say,
  /// no more loss.
  case exact
  /// Inputs are rounded to int8 block by block where the weights' format has integer kernels; the cache is F16,
  /// if nothing else is wanted.
  case fast

  /// What keys and values are kept as where nothing else is wanted.
  var cacheElement: KeyValueCache.Element { self == .exact ? .f32 : .f16 }
}
