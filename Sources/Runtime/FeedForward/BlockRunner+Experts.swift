import Kernels

extension BlockRunner {
  /// out (+)= Σ weight · expert(x) over each token's experts, in ascending order of the experts: so a token's result does
  /// not depend on the others beside it.
  func run(_ experts: ExpertFeedForward, _ x: Matrix, into out: Matrix, accumulate: Bool) {
    let scores = Matrix(buffers.router, rows: x.rows, columns: experts.routing.count)
    input.set(x)
    experts.router.apply(input, into: scores, on: processor)
    switch experts.routing.gating {
    case .softmax: processor.softmax(scores, into: scores)
    case .sigmoid: processor.activate(.sigmoid, scores, into: scores)
    }
    routing.assign(scores, choiceBias: experts.choiceBias, experts.routing)
    if !accumulate { out.fill(with: 0) }
    if x.rows == 1 { runOne(experts, x, into: out) } else { runGrouped(experts, x, into: out) }
    addShared(experts, x, into: out)
  }

  /// One token: all of its experts' first products as one operation.
  private func runOne(_ experts: ExpertFeedForward, _ x: Matrix, into out: Matrix) {
    let inner = experts.innerWidth
    let chosen = routing.ofOne
    let hidden = Matrix(buffers.expertHidden, rows: chosen.count, columns: 2 * inner)
    let activated = hidden.columns(0..<inner)
    let up = hidden.columns(inner..<2 * inner)
    input.set(x)
    processor.multiply(
      input,
      chosen.enumerated().flatMap { row, choice in
        [
          Product(experts.gate[choice.expert], into: activated.rows(row..<row + 1)),
          Product(experts.up[choice.expert], into: up.rows(row..<row + 1)),
        ]
      })
    processor.gate(experts.activation, activated, times: up, into: activated)
    let result = Matrix(buffers.expertRows, rows: 1, columns: x.columns)
    for (row, choice) in chosen.enumerated() {
      input.set(activated.rows(row..<row + 1))
      processor.multiply(input, experts.down[choice.expert], into: result)
      processor.add(out, result, factor: choice.weight, into: out)
    }
  }

  /// Expert by expert: its tokens' rows beside each other, so that its weights pass by once.
  private func runGrouped(_ experts: ExpertFeedForward, _ x: Matrix, into out: Matrix) {
    let inner = experts.innerWidth
    for expert in 0..<experts.routing.count {
      let range = routing.starts[expert]..<routing.starts[expert + 1]
      guard !range.isEmpty else { continue }
      let both = Matrix(buffers.expertRows, rows: range.count, columns: 2 * x.columns)
      let rows = both.columns(0..<x.columns)
      let result = both.columns(x.columns..<both.columns)
      processor.gather(x, rows: routing.tokens[range], into: rows)
      let hidden = Matrix(buffers.expertHidden, rows: range.count, columns: 2 * inner)
      let activated = hidden.columns(0..<inner)
      let up = hidden.columns(inner..<2 * inner)
      input.set(rows)
      processor.multiply(
        input, [Product(experts.gate[expert], into: activated), Product(experts.up[expert], into: up)])
      processor.gate(experts.activation, activated, times: up, into: activated)
      input.set(activated)
      processor.multiply(input, experts.down[expert], into: result)
      processor.scatterAdd(result, times: routing.weights[range], into: out, rows: routing.tokens[range])
    }
  }

  /// out += (sigmoid(gate · x) ·) shared(x)
  private func addShared(_ experts: ExpertFeedForward, _ x: Matrix, into out: Matrix) {
    guard let shared = experts.shared else { return }
    guard let gate = experts.sharedGate else { return run(shared, x, into: out, accumulate: true) }
    let factors = Matrix(buffers.router, rows: x.rows, columns: 1)
    input.set(x)
    gate.apply(input, into: factors, on: processor)
    processor.activate(.sigmoid, factors, into: factors)
    let result = Matrix(buffers.expertRows, rows: x.rows, columns: x.columns)
    run(shared, x, into: result, accumulate: false)
    let rows = (0..<x.rows).map { Int32($0) }
    processor.scatterAdd(result, times: factors.floats[0..<x.rows].array()[...], into: out, rows: rows[...])
  }
}
