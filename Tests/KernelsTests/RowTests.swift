import Glibc
import Kernels
import Testing

@Suite struct RowTests {
  static let widths = [1, 15, 16, 17, 64, 100, 576]

  /// Runs `body` on every processor, expects the generic table's bits, and returns the result.
  private func everywhere(_ rows: Int, _ columns: Int, _ body: (Processor, Matrix) -> Void) -> [Double] {
    let want = Matrix(rows: rows, columns: columns)
    body(generic, want)
    for processor in processors {
      let out = Matrix(rows: rows, columns: columns)
      body(processor, out)
      #expect(bits(out) == bits(want), "\(processor.kernels.name), \(processor.pool.threads) threads")
    }
    return want.floats.array().map(Double.init)
  }

  private func expect(_ got: [Double], _ want: [Double], budget: Double, _ what: String) {
    for (i, (a, b)) in zip(got, want).enumerated() {
      #expect(abs(a - b) <= budget * max(1, abs(b)), "\(what) at \(i): \(a), not \(b)")
    }
  }

  @Test(arguments: widths)
  func norms(_ n: Int) {
    var random = Random(UInt64(n))
    let rows = 5
    let values = random.floats(rows * n, scale: 4)
    let x = matrix(values, rows: rows, columns: n)
    let w = random.floats(n)
    let b = random.floats(n)
    let rms = everywhere(rows, n) { $0.rmsNorm(x, weight: Floats(w), epsilon: 1e-5, into: $1) }
    let layer = everywhere(rows, n) { $0.layerNorm(x, weight: Floats(w), bias: Floats(b), epsilon: 1e-2, into: $1) }
    let soft = everywhere(rows, n) { $0.softmax(x, factor: 0.5, into: $1) }
    for r in 0..<rows {
      let v = values[(r * n)..<((r + 1) * n)].map(Double.init)
      let scale = 1 / (v.reduce(0) { $0 + $1 * $1 } / Double(n) + 1e-5).squareRoot()
      let mean = v.reduce(0, +) / Double(n)
      let deviation = (v.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(n) + 1e-2).squareRoot()
      let e = v.map { exp($0 * 0.5) }
      let sum = e.reduce(0, +)
      let row = (r * n)..<((r + 1) * n)
      expect(Array(rms[row]), v.indices.map { v[$0] * scale * Double(w[$0]) }, budget: 1e-6, "rmsNorm")
      expect(
        Array(layer[row]), v.indices.map { (v[$0] - mean) / deviation * Double(w[$0]) + Double(b[$0]) },
        budget: 1e-5, "layerNorm")
      expect(Array(soft[row]), e.map { $0 / sum }, budget: 1e-6, "softmax")
    }
  }

  @Test("norms of equal parts of a row, with one weight for all or one for each", arguments: [false, true])
  func parts(own: Bool) {
    var random = Random(9)
    let (rows, parts, n) = (3, 4, 24)
    let values = random.floats(rows * parts * n, scale: 2)
    let w = random.floats(own ? parts * n : n)
    let rms = everywhere(rows, parts * n) {
      $0.rmsNorm(
        matrix(values, rows: rows, columns: parts * n), weight: Floats(w), epsilon: 1e-5, parts: parts, into: $1)
    }
    for part in 0..<rows * parts {
      let v = values[(part * n)..<((part + 1) * n)].map(Double.init)
      let scale = 1 / (v.reduce(0) { $0 + $1 * $1 } / Double(n) + 1e-5).squareRoot()
      let weight = own ? Array(w[part % parts * n..<(part % parts + 1) * n]) : w
      expect(
        Array(rms[(part * n)..<((part + 1) * n)]), v.indices.map { v[$0] * scale * Double(weight[$0]) }, budget: 1e-6,
        "part \(part)")
    }
  }

  @Test("rows are looked up, and added where an index says")
  func indexed() {
    var random = Random(4)
    let n = 37
    let x = matrix(random.floats(6 * n), rows: 6, columns: n)
    let rows: [Int32] = [9, 4, 1, 3, 0]
    let factors: [Float] = [9, 0.5, -1, 2, 0]
    let looked = everywhere(4, n) { $0.gather(x, rows: rows[1...], into: $1) }
    let added = everywhere(6, n) { $0.scatterAdd(x.rows(0..<4), times: factors[1...], into: $1, rows: rows[1...]) }
    for (place, row) in rows[1...].enumerated() {
      expect(
        Array(looked[place * n..<(place + 1) * n]), x[Int(row)].array().map(Double.init), budget: 0, "gather \(row)")
      expect(
        Array(added[Int(row) * n..<(Int(row) + 1) * n]),
        x[place].array().map { Double($0) * Double(factors[place + 1]) }, budget: 1e-6, "scatterAdd \(row)")
    }
    #expect(added[2 * n..<3 * n].allSatisfy { $0 == 0 })
  }

  static func truth(_ activation: Activation, _ x: Double) -> Double {
    switch activation {
    case .relu: max(x, 0)
    case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .geluQuick: x / (1 + exp(-1.702 * x))
    case .silu: x / (1 + exp(-x))
    case .sigmoid: 1 / (1 + exp(-x))
    case .tanh: tanh(x)
    }
  }

  @Test(arguments: Activation.allCases)
  func activations(_ activation: Activation) {
    let points =
      (-2000...2000).map { Float($0) / 100 } + [-100, 100, -0.0, 1e-30, -1e-5, 0.62, 0.63, 0.99, 1.01, 88, 90]
    let x = matrix(points, rows: 1, columns: points.count)
    var random = Random(2)
    let y = random.floats(points.count)
    let want = points.map { Self.truth(activation, Double($0)) }
    expect(everywhere(1, points.count) { $0.activate(activation, x, into: $1) }, want, budget: 4e-7, "\(activation)")
    let gated = everywhere(1, points.count) { p, out in
      p.gate(activation, x, times: matrix(y, rows: 1, columns: y.count), into: out)
    }
    expect(gated, zip(want, y).map { $0 * Double($1) }, budget: 4e-7, "gate \(activation)")
  }

  @Test(arguments: widths)
  func elements(_ n: Int) {
    var random = Random(UInt64(n) + 100)
    let (a, b) = (random.floats(3 * n, scale: 40), random.floats(3 * n))
    let (x, y) = (matrix(a, rows: 3, columns: n), matrix(b, rows: 3, columns: n))
    let bias = Array(b[..<n])
    let pairs = zip(a, b).map { (Double($0), Double($1)) }
    expect(everywhere(3, n) { $0.add(x, y, factor: 0.5, into: $1) }, pairs.map { $0 + 0.5 * $1 }, budget: 1e-6, "add")
    expect(everywhere(3, n) { $0.multiply(x, by: y, into: $1) }, pairs.map { $0 * $1 }, budget: 1e-6, "multiply")
    expect(everywhere(3, n) { $0.scale(x, by: 3, into: $1) }, a.map { Double($0) * 3 }, budget: 1e-6, "scale")
    expect(
      everywhere(3, n) { $0.softcap(x, cap: 30, into: $1) }, a.map { 30 * tanh(Double($0) / 30) }, budget: 1e-6,
      "softcap")
    expect(
      everywhere(3, n) { $0.addBias(x, Floats(bias), into: $1) },
      a.indices.map { Double(a[$0]) + Double(bias[$0 % n]) }, budget: 1e-6, "addBias")
  }

  @Test(arguments: [RotaryPairing.halves, .neighbours])
  func rotaryPositions(_ pairing: RotaryPairing) {
    let (heads, headDim, pairs, tokens, first) = (3, 48, 20, 6, 4090)
    let frequencies = (0..<pairs).map { Float(pow(10000, -Double($0) / Double(pairs))) }
    let table = RotaryTable(inverseFrequencies: frequencies, positions: 5000, attentionFactor: 1.5)
    var random = Random(5)
    let values = random.floats(tokens * heads * headDim)
    let got = everywhere(tokens, heads * headDim) { processor, out in
      processor.scale(matrix(values, rows: tokens, columns: heads * headDim), by: 1, into: out)
      processor.rotate(out, heads: heads, headDim: headDim, table: table, position: first, pairing: pairing)
    }
    var want = values.map(Double.init)
    for t in 0..<tokens {
      for h in 0..<heads {
        for i in 0..<pairs {
          let at = (t * heads + h) * headDim
          let (p, q) = pairing == .halves ? (at + i, at + i + pairs) : (at + 2 * i, at + 2 * i + 1)
          let angle = Double(Float(first + t) * frequencies[i])
          (want[p], want[q]) = (
            1.5 * (want[p] * cos(angle) - want[q] * sin(angle)), 1.5 * (want[p] * sin(angle) + want[q] * cos(angle))
          )
        }
      }
    }
    expect(got, want, budget: 1e-6, "rotate")
  }
}
