/// The two ways to lay out the rows of a query or key projection for rotary positions.
///
/// Hugging Face rotates element i with element i + d/2 (halves); Meta's files and llama.cpp's `llama` rotate neighbours
/// 2i and 2i + 1 (pairs). The models are equal when the rows of every head are permuted.
public enum RotaryOrder: String, Sendable {
  case halves
  case pairs

  /// For a head of `dimension` rows in the other order, which of its rows comes at each place of this order.
  public func rowOrder(dimension: Int) -> [Int] {
    let half = dimension / 2
    switch self {
    case .halves: return (0..<dimension).map { $0 < half ? 2 * $0 : 2 * ($0 - half) + 1 }
    case .pairs: return (0..<dimension).map { $0 % 2 == 0 ? $0 / 2 : half + $0 / 2 }
    }
  }
}

extension TensorRef {
  /// The same projection (or its bias) with each head's rows in `order`, coming from the other one. Undoes itself: a
  /// tensor that was permuted lazily gets its original source back.
  public func reorderedHeads(to order: RotaryOrder, headDimension: Int) -> TensorRef {
    var result = self
    let rows = order.rowOrder(dimension: headDimension)
    let isInverse = { (earlier: [Int]) in
      earlier.count == rows.count && rows.indices.allSatisfy { earlier[rows[$0]] == $0 }
    }
    switch source {
    case let earlier as RowPermutation where isInverse(earlier.order): result.source = earlier.base
    case let earlier as ElementPermutation where isInverse(earlier.order): result.source = earlier.base
    case _ where shape.dimensions.count == 1:
      result.source = ElementPermutation(source, order: rows, elementByteCount: format.bytesPerBlock)
    default: result.source = RowPermutation(source, order: rows, rowByteCount: rowByteCount)
    }
    return result
  }
}
