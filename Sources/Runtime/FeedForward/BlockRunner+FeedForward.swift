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
    let inner = dense.innerWidth
    input.set(x)
    let activated: Matrix
    switch dense.input {
    case .plain(let up):
      activated = Matrix(buffers.hidden, rows: x.rows, columns: inner)
      up.apply(input, into: activated, on: processor)
      processor.activate(dense.activation, activated, into: activated)
    case .gated(let gate, let up):
      // One behind the other: rows that lie twice as far apart would share cache sets.
      activated = Matrix(buffers.hidden, rows: x.rows, columns: inner)
      let other = Matrix(buffers.hidden[x.rows * inner..<2 * x.rows * inner], rows: x.rows, columns: inner)
      processor.multiply(input, [gate.product(into: activated), up.product(into: other)])
      processor.gate(dense.activation, activated, times: other, into: activated)
    case .fused(let both):
      let hidden = Matrix(buffers.hidden, rows: x.rows, columns: 2 * inner)
      both.apply(input, into: hidden, on: processor)
      activated = hidden.columns(0..<inner)
      processor.gate(dense.activation, activated, times: hidden.columns(inner..<2 * inner), into: activated)
    }
    input.set(activated)
    dense.down.apply(input, into: out, accumulate: accumulate, on: processor)
  }
}
