import Catalog
import Kernels

/// A mixture of experts: each token passes the few that its router chooses, and those that all tokens share.
struct ExpertFeedForward: Sendable {
  let routing: ExpertConfiguration
  /// [experts, width]
  let router: Linear
  /// Added to the scores when experts are chosen, not when they are weighed. [experts]
  let choiceBias: Floats?
  let gate: StackedWeights
  let up: StackedWeights
  let down: StackedWeights
  let activation: Activation
  let shared: DenseFeedForward?
  /// The shared experts' own gate: a sigmoid of one product. [1, width]
  let sharedGate: Linear?

  init(
    _ routing: ExpertConfiguration, _ configuration: TransformerConfiguration, from loader: WeightLoader
  ) throws(RuntimeError) {
    let width = configuration.width
    let count = routing.count
    self.routing = routing
    router = try loader.linear("ffn_gate_inp", rows: count, columns: width)
    choiceBias = try loader.optionalVector("exp_probs_b.bias", count: count)
    down = try loader.stacked("ffn_down_exps.weight", count: count, rows: width)
    gate = try loader.stacked("ffn_gate_exps.weight", count: count, rows: down[0].columns, columns: width)
    up = try loader.stacked("ffn_up_exps.weight", count: count, rows: down[0].columns, columns: width)
    activation = Activation(configuration.activation)
    shared =
      loader.has("ffn_down_shexp.weight") ? try DenseFeedForward("ffn", "_shexp", configuration, from: loader) : nil
    sharedGate = try loader.optionalLinear("ffn_gate_inp_shexp", rows: 1, columns: width)
  }

  /// Of one expert's activated vector.
  var innerWidth: Int { down[0].columns }

  var byteCount: Int {
    router.byteCount + (choiceBias?.count ?? 0) * 4 + gate.byteCount + up.byteCount + down.byteCount
      + (shared?.byteCount ?? 0) + (sharedGate?.byteCount ?? 0)
  }
}
