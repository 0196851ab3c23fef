import Catalog
import Glibc
import Kernels

/// What is added to the scores by the distance between query and key alone: T5's buckets, or ALiBi's slopes.
///
/// One vector per head over the distances key − query from −(limit − 1) to limit − 1, along which the queries move.
struct DistanceBias: Sendable {
  private let floats: Floats  // [head, 2 · limit − 1]
  private let limit: Int

  /// T5's buckets (Raffel et al. 2020). table: [buckets, heads].
  init(buckets table: Matrix, _ configuration: TransformerConfiguration, isBidirectional: Bool, limit: Int) {
    let bucket = RelativeBucket(
      count: table.rows, largestDistance: configuration.relativeMaximumDistance, isBidirectional: isBidirectional)
    let values = table.floats.array()
    self.init(heads: table.columns, limit: limit) { head, distance in
      values[bucket.index(distance) * table.stride + head]
    }
  }

  /// A slope for each head, a geometric sequence (Press et al. 2022).
  init(alibiHeads heads: Int, largestBias: Double, limit: Int) {
    var power = 1
    while power * 2 <= heads { power *= 2 }
    let slopes = (0..<heads).map { head in
      head < power
        ? exp2(-largestBias * Double(head + 1) / Double(power))
        : exp2(-largestBias / 2 * Double(2 * (head - power) + 1) / Double(power))
    }
    self.init(heads: heads, limit: limit) { head, distance in -Float(slopes[head]) * Float(abs(distance)) }
  }

  private init(heads: Int, limit: Int, _ value: (_ head: Int, _ distance: Int) -> Float) {
    self.limit = limit
    let length = 2 * limit - 1
    floats = Floats(count: heads * length)
    floats.withMutableSpan { span in
      for head in 0..<heads {
        for place in 0..<length { span[head * length + place] = value(head, place - (limit - 1)) }
      }
    }
  }

  /// For queries from `position` on.
  func bias(from position: Int) -> AttentionBias {
    AttentionBias(floats, offset: limit - 1 - position, headStride: 2 * limit - 1, tokenStride: -1)
  }

  static func byteCount(heads: Int, limit: Int) -> Double { Double(heads) * Double(2 * limit - 1) * 4 }
}

/// Which of T5's buckets a distance falls into: one each for the near ones, then logarithmically wider.
struct RelativeBucket {
  let count: Int
  let largestDistance: Int
  let isBidirectional: Bool

  /// `distance`: key − query. Computed in single precision, as the reference implementations do.
  func index(_ distance: Int) -> Int {
    var count = count
    var base = 0
    var past = -distance
    if isBidirectional {
      count /= 2
      if distance > 0 { base = count }
      past = abs(distance)
    }
    past = max(past, 0)
    let near = max(1, count / 2)
    guard past >= near else { return base + min(past, count - 1) }
    let ratio = logf(Float(past) / Float(near)) / Float(log(Double(largestDistance) / Double(near)))
    let far = near + Int(ratio * Float(count - near))
    return base + min(far, count - 1)
  }
}
