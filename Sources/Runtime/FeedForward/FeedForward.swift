import Catalog
import Kernels

/// The weights of one block's feed-forward.
enum FeedForward: Sendable {
  case dense(DenseFeedForward)
  case experts(ExpertFeedForward)

  init(_ configuration: TransformerConfiguration, from loader: WeightLoader) throws(RuntimeError) {
    if let experts = configuration.experts, loader.has("ffn_gate_inp.weight") {
      self = .experts(try ExpertFeedForward(experts, configuration, from: loader))
    } else {
      self = .dense(try DenseFeedForward("ffn", "", configuration, from: loader))
    }
  }

  var byteCount: Int {
    switch self {
    case .dense(let dense): dense.byteCount
    case .experts(let experts): experts.byteCount
    }
  }
}

/// down(activation(up(x))), or down(activation(gate(x)) · up(x)).
struct DenseFeedForward: Sendable {
  enum Input: Sendable {
    case plain(up: Linear)
    case gated(gate: Linear, up: Linear)
    /// Rows: those of the gate, then those of `up`.
    case fused(Linear)
  }

  let input: Input
  let down: Linear
  let activation: Activation

  /// Reads `kind_gate`, `kind_up` and `kind_down`, each with the suffix.
  init(
    _ kind: String, _ suffix: String, _ configuration: TransformerConfiguration, from loader: WeightLoader
  ) throws(RuntimeError) {
    let width = configuration.width
    down = try loader.linear("\(kind)_down\(suffix)", rows: width)
    let inner = down.columns
    if loader.has("\(kind)_gate\(suffix).weight") {
      input = .gated(
        gate: try loader.linear("\(kind)_gate\(suffix)", rows: inner, columns: width),
        up: try loader.linear("\(kind)_up\(suffix)", rows: inner, columns: width))
    } else {
      let up = try loader.linear("\(kind)_up\(suffix)", columns: width)
      if configuration.graph.feedForward == .gated, up.rows == 2 * inner {
        input = .fused(up)
      } else if up.rows == inner {
        input = .plain(up: up)
      } else {
        let tensor = try loader.tensor("\(kind)_up\(suffix).weight")
        throw .misshapen(tensor: tensor.name, found: tensor.shape, expected: "\(inner) rows")
      }
    }
    activation = Activation(configuration.activation)
  }

  /// Of the activated vector.
  var innerWidth: Int { down.columns }

  /// Floats for each token between the matrices.
  var hiddenWidth: Int { if case .plain = input { innerWidth } else { 2 * innerWidth } }

  var byteCount: Int {
    let first =
      switch input {
      case .plain(let up), .fused(let up): up.byteCount
      case .gated(let gate, let up): gate.byteCount + up.byteCount
      }
    return first + down.byteCount
  }
}

extension Activation {
  init(_ activation: TransformerConfiguration.Activation) {
    self =
      switch activation {
      case .silu: .silu
      case .gelu: .gelu
      case .geluTanh: .geluTanh
      case .geluQuick: .geluQuick
      case .relu: .relu
      case .tanh: .tanh
      }
  }
}
