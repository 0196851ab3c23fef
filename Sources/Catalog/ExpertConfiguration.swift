import IR

/// How a mixture of experts chooses and weighs its experts.
public struct ExpertConfiguration: Hashable, Sendable {
  public enum Gating: String, Sendable { case softmax, sigmoid }
  /// What stands for a group of experts when groups are chosen: the best score, or the sum of the best two.
  public enum GroupScoring: String, Sendable {
    case max, top2
    /// Groups do not count (DeepSeek-V2-Lite, whose routing is greedy).
    case none
  }

  public let count: Int
  /// Experts of each token.
  public let usedCount: Int
  public let gating: Gating
  /// Whether the chosen experts' weights are divided by their sum.
  public let normalizesWeights: Bool
  public let weightsScale: Double
  public let groupCount: Int
  /// Groups whose experts may be chosen; equal to `groupCount` where there are no groups.
  public let usedGroupCount: Int
  public let groupScoring: GroupScoring

  /// Nil when the model has no experts.
  init?(_ hyperparameters: Hyperparameters) throws(CatalogError) {
    let lookup = HyperparameterLookup(values: hyperparameters)
    count = try lookup.count("expert_count", default: 0)
    guard count > 0 else { return nil }
    usedCount = try lookup.count("expert_used_count", default: 1)
    gating = try lookup.option("expert_gating_func", default: .softmax)
    normalizesWeights = hyperparameters.bool("expert_weights_norm") ?? false
    let scale = try lookup.number("expert_weights_scale", default: 1)
    weightsScale = scale == 0 ? 1 : scale
    groupScoring = try lookup.option("expert_group_scoring", default: .max)
    groupCount = groupScoring == .none ? 1 : try lookup.count("expert_group_count", default: 1)
    usedGroupCount =
      groupScoring == .none ? 1 : try lookup.count("expert_group_used_count", default: groupCount)
    func require(_ good: Bool, _ name: String) throws(CatalogError) {
      guard good else {
        let found = hyperparameters.integer(name).map(String.init) ?? "absent"
        throw .invalidHyperparameter(name: name, key: name, found: "\(found) of \(count) experts")
      }
    }
    try require(count % groupCount == 0, "expert_group_count")
    try require(usedGroupCount <= groupCount, "expert_group_used_count")
    try require(usedCount <= count / groupCount * usedGroupCount, "expert_used_count")
    try require(groupScoring != .top2 || count / groupCount >= 2, "expert_group_count")
  }
}
