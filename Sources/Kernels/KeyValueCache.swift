import CKernels

/// The keys and values of one layer, for positions 0 ..< capacity.
///
/// Keys are kept [kvHead, panel of 16 positions, keyDim, 16], values [kvHead, position, valueDim rounded up to 16], so
/// that both products of attention read whole vectors.
@safe public final class KeyValueCache: Sendable {
  public enum Element: Sendable { case f32, f16 }

  /// What the attention kernels take.
  public static let largestKeyDim = 576
  public static let largestValueDim = 512

  public let kvHeads: Int
  /// Positions, rounded up to whole panels of 16.
  public let capacity: Int
  public let keyDim: Int
  public let valueDim: Int
  public let element: Element
  let keys: Buffer
  let values: Buffer

  public init(kvHeads: Int, capacity: Int, keyDim: Int, valueDim: Int, element: Element) {
    precondition(kvHeads > 0 && capacity > 0 && (1...Self.largestKeyDim).contains(keyDim))
    precondition((1...Self.largestValueDim).contains(valueDim))
    self.kvHeads = kvHeads
    self.capacity = (capacity + 15) / 16 * 16
    self.keyDim = keyDim
    self.valueDim = valueDim
    self.element = element
    let width = element == .f32 ? 4 : 2
    keys = Buffer(byteCount: kvHeads * self.capacity * keyDim * width)
    values = Buffer(byteCount: kvHeads * self.capacity * ((valueDim + 15) / 16 * 16) * width)
  }

  public var byteCount: Int { keys.byteCount + values.byteCount }

  var arguments: quern_cache {
    unsafe quern_cache(
      keys: keys.base, values: values.base, element: element == .f32 ? QUERN_CACHE_F32 : QUERN_CACHE_F16,
      kvHeads: kvHeads, capacity: capacity, keyDim: keyDim, valueDim: valueDim)
  }
}
