import CKernels

/// The keys and values of one layer, for positions 0 ..< capacity.
///
/// Keys are kept [kvHead, panel of 16 positions, keyDim, 16], values [kvHead, position, valueDim rounded up to 16], so
/// that both products of attention read whole vectors. Packed ones lie in the same order, in blocks of 32 elements of a
/// position: of keys, the blocks of a panel's positions are woven together.
@safe public final class KeyValueCache: Sendable {
  /// What elements are stored as. The last block of a packed row is filled up with zeros.
  public enum Element: String, Sendable, CaseIterable {
    case f32, f16, q8_0, q4_0

    fileprivate var kind: (code: quern_cache_element, elementsPerBlock: Int, bytesPerBlock: Int) {
      switch self {
      case .f32: (QUERN_CACHE_F32, 1, 4)
      case .f16: (QUERN_CACHE_F16, 1, 2)
      case .q8_0: (QUERN_CACHE_Q8_0, 32, 34)
      case .q4_0: (QUERN_CACHE_Q4_0, 32, 18)
      }
    }

    /// Bytes of so many elements of one position.
    public func byteCount(of elements: Int) -> Int {
      (elements + kind.elementsPerBlock - 1) / kind.elementsPerBlock * kind.bytesPerBlock
    }
  }

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
    keys = Buffer(byteCount: kvHeads * self.capacity * element.byteCount(of: keyDim))
    values = Buffer(byteCount: kvHeads * self.capacity * element.byteCount(of: (valueDim + 15) / 16 * 16))
  }

  public var byteCount: Int { keys.byteCount + values.byteCount }

  var arguments: quern_cache {
    unsafe quern_cache(
      keys: keys.base, values: values.base, element: element.kind.code, kvHeads: kvHeads, capacity: capacity,
      keyDim: keyDim, valueDim: valueDim)
  }
}
