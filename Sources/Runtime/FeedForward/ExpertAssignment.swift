import Catalog
import Kernels

/// Which experts the tokens of a batch go to, and with what weight: chosen token by token, then grouped by expert.
struct ExpertAssignment {
  /// Tokens, expert after expert; within one in the batch's order.
  private(set) var tokens: [Int32] = []
  private(set) var weights: [Float] = []
  /// Where each expert's tokens start; one more than there are experts.
  private(set) var starts: [Int] = []
  private var chosenExperts: [Int] = []
  private var chosenWeights: [Float] = []

  /// - Parameters:
  ///   - scores: softmax or sigmoid of the router's output. [tokens, experts]
  ///   - choiceBias: added where experts are chosen.
  mutating func assign(_ scores: Matrix, choiceBias: Floats?, _ routing: ExpertConfiguration) {
    chosenExperts.removeAll(keepingCapacity: true)
    chosenWeights.removeAll(keepingCapacity: true)
    let bias = choiceBias?.array()
    var choice = [Float](repeating: 0, count: routing.count)
    for token in 0..<scores.rows {
      scores[token].withSpan { row in
        for expert in 0..<routing.count { choice[expert] = row[expert] + (bias?[expert] ?? 0) }
        Self.keepBestGroups(&choice, routing)
        let first = chosenExperts.count
        Self.appendLargest(routing.usedCount, of: choice, to: &chosenExperts)
        var total: Float = 0
        for expert in chosenExperts[first...] { total += row[expert] }
        let divisor = routing.normalizesWeights ? total + 1e-20 : 1
        for expert in chosenExperts[first...] {
          chosenWeights.append(row[expert] / divisor * Float(routing.weightsScale))
        }
      }
    }
    group(routing)
  }

  /// The experts of a single token, ascending, with their weights.
  var ofOne: [(expert: Int, weight: Float)] {
    zip(chosenExperts, chosenWeights).map { ($0, $1) }.sorted { $0.expert < $1.expert }
  }

  /// Experts outside the best groups get −∞ (DeepSeek-V2, -V3).
  private static func keepBestGroups(_ choice: inout [Float], _ routing: ExpertConfiguration) {
    guard routing.usedGroupCount < routing.groupCount else { return }
    let length = routing.count / routing.groupCount
    let scores = (0..<routing.groupCount).map { group in
      var best = -Float.infinity
      var second = -Float.infinity
      for score in choice[group * length..<(group + 1) * length] {
        if score > best { (best, second) = (score, best) } else { second = max(second, score) }
      }
      return routing.groupScoring == .top2 ? best + second : best
    }
    var kept: [Int] = []
    appendLargest(routing.usedGroupCount, of: scores, to: &kept)
    for group in 0..<routing.groupCount where !kept.contains(group) {
      for expert in group * length..<(group + 1) * length { choice[expert] = -.infinity }
    }
  }

  /// The places of the `count` largest values, descending; of equal ones the first.
  private static func appendLargest(_ count: Int, of values: [Float], to result: inout [Int]) {
    let first = result.count
    for _ in 0..<count {
      var best = -1
      for place in values.indices where !result[first...].contains(place) {
        if best < 0 || values[place] > values[best] { best = place }
      }
      result.append(best)
    }
  }

  private mutating func group(_ routing: ExpertConfiguration) {
    starts = [Int](repeating: 0, count: routing.count + 1)
    for expert in chosenExperts { starts[expert + 1] += 1 }
    for expert in 0..<routing.count { starts[expert + 1] += starts[expert] }
    var next = starts
    tokens = [Int32](repeating: 0, count: chosenExperts.count)
    weights = [Float](repeating: 0, count: chosenExperts.count)
    for (place, expert) in chosenExperts.enumerated() {
      tokens[next[expert]] = Int32(place / routing.usedCount)
      weights[next[expert]] = chosenWeights[place]
      next[expert] += 1
    }
  }
}
