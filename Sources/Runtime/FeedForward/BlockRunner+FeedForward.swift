import Kernels

extension BlockRunner {
  /// out (+)= feedForward(x)
  func feedForward(_ x: Matrix, _ feedForward: FeedForward, into out: Matrix, accumulate: Bool) {
    switch feedForward {
    case .dense(let dense): run(dense, x, into: out, accumulate: accumulate)
    case .experts(let experts): run(experts, x, into: out, accumulate: accumulate)
    }
  }

  func run(_ dense: DenseFeedForward, _ x: Matrix, into out: Matrix, accumulate: Bool) {
    let hidden = Matrix(buffers.hidden, rows: x.rows, columns: dense.hiddenWidth)
    let activated = hidden.columns(0..<dense.innerWidth)
    input.set(x)
    switch dense.input {
    case .plain(let up):
      up.apply(input, into: activated, on: processor)
      processor.activate(dense.activation, activated, into: activated)
    case .gated(let gate, let up):
      let other = hidden.columns(dense.innerWidth..<hidden.columns)
      processor.multiply(input, [gate.product(into: activated), up.product(into: other)])
      processor.gate(dense.activation, activated, times: other, into: activated)
    case .fused(let both):
      both.apply(input, into: hidden, on: processor)
      let other = hidden.columns(dense.innerWidth..<hidden.columns)
      processor.gate(dense.activation, activated, times: other, into: activated)
    }
    input.set(activated)
    dense.down.apply(input, into: out, accumulate: accumulate, on: processor)
  }
}
