import Bytes
import Codecs
import IR
import Kernels

/// Activation-aware scaling (AWQ, Lin et al. 2023): the columns of layers that read a norm are multiplied by s, the
/// norm's weights divided by it, so that columns with large inputs get finer steps. The model stays the same.
///
///     norm(x) · w, W  →  norm(x) · (w / s), W · diag(s)
///
/// Whether it helps beside error feedback differs from layer to layer, so each candidate is tried on some rows.
extension LayerwiseQuantizer {
  /// The norm that an input comes from; nil for those that come from elsewhere.
  static func normName(of input: BlockInput, layer: Int) -> ByteString? {
    switch input {
    case .attention: ByteString("blk.\(layer).attn_norm.weight")
    case .feedForward: ByteString("blk.\(layer).ffn_norm.weight")
    case .attended, .activated: nil
    }
  }

  /// Whether a norm may be changed: it is written as floats, and all that read it are encoded anew.
  func scalesNorm(of input: BlockInput, layer: Int) -> Bool {
    guard settings.scalesActivations, settings.isSequential, fisher != nil,
      let name = Self.normName(of: input, layer: layer), plan[name] == .f32
    else { return false }
    return input.readers.allSatisfy { role in
      let name = role.tensorName(layer: layer)
      return takesFeedback(name) && grids[name] == nil
    }
  }

  /// Factors for the columns, the best of some exponents of the inputs' sizes; nil where none gains a hundredth.
  func scaling(of input: BlockInput, layer: Int, gram: Matrix) throws(CalibrationError) -> [Float]? {
    guard scalesNorm(of: input, layer: layer), let fisher else { return nil }
    var samples: [(name: ByteString, rows: Matrix, outputs: [Float])] = []
    for role in input.readers {
      let name = role.tensorName(layer: layer)
      guard let outputs = fisher.outputWeights[name] else { return nil }
      // Sixteen rows of every sixty-four, as the encoder takes them together.
      let all = try reader.matrix(name)
      let picked = (0..<all.rows).filter { $0 / 16 % 4 == 0 }
      let rows = Matrix(rows: picked.count, columns: all.columns)
      for (index, row) in picked.enumerated() { rows.rows(index..<index + 1).copy(from: all.rows(row..<row + 1)) }
      samples.append((name, rows, picked.map { outputs[$0] }))
    }
    func loss(_ factors: [Float]?) -> Double? {
      let scaled = factors.map { factors in gram.scaled(by: factors.map { 1 / $0 }) } ?? gram
      guard let hessian = InputHessian(gram: scaled, damping: settings.damping, on: processor) else { return nil }
      var sum = 0.0
      for sample in samples {
        guard let format = plan[sample.name], let codec = Codec.for(format, kernels: processor.kernels) else {
          return nil
        }
        let rows = factors.map { sample.rows.columnsScaled(by: $0) } ?? sample.rows
        let errors = codec.encode(rows, hessian: hessian, sweeps: 0, on: processor).rowErrors
        sum += zip(errors, sample.outputs).reduce(0) { $0 + $1.0 * Double($1.1) }
      }
      return sum
    }
    guard let unscaled = loss(nil) else { return nil }
    var best: (loss: Double, factors: [Float])?
    for exponent in [0.15, 0.3, 0.5] as [Double] {
      let factors = Self.factors(gram, exponent: exponent)
      guard let loss = loss(factors), loss < best?.loss ?? .infinity else { continue }
      best = (loss, factors)
    }
    guard let best, best.loss < 0.99 * unscaled else { return nil }
    return best.factors
  }

  /// (E[x²])^(exponent / 2) of each column, with geometric mean 1 and within a factor of sixteen of it.
  private static func factors(_ gram: Matrix, exponent: Double) -> [Float] {
    let sizes = gram.floats.withSpan { values in
      (0..<gram.columns).map { Double(values[$0 * gram.stride + $0]) }
    }
    let mean = sizes.reduce(0, +) / Double(max(1, sizes.count))
    guard mean > 0, mean.isFinite else { return sizes.map { _ in 1 } }
    var factors = sizes.map { Self.power(max($0, mean * 1e-6) / mean, exponent / 2) }
    let logarithm = factors.reduce(0) { $0 + Self.log2($1) } / Double(factors.count)
    let unit = Self.power(2, -logarithm)
    for index in factors.indices { factors[index] = min(max(factors[index] * unit, 1.0 / 16), 16) }
    return factors.map(Float.init)
  }

  // Powers without a mathematical library, whose last bits differ between systems.
  private static func log2(_ x: Double) -> Double {
    var fraction = x.significand
    var result = Double(x.exponent)
    var digit = 0.5
    for _ in 0..<24 {
      fraction *= fraction
      if fraction >= 2 {
        fraction /= 2
        result += digit
      }
      digit /= 2
    }
    return result
  }
  private static func power(_ base: Double, _ exponent: Double) -> Double {
    var rest = log2(base) * exponent
    let whole = rest.rounded(.down)
    rest -= whole
    var result = Double(sign: .plus, exponent: Int(whole), significand: 1)
    var root = 2.0
    for _ in 0..<24 {
      root = root.squareRoot()
      rest *= 2
      if rest >= 1 {
        rest -= 1
        result *= root
      }
    }
    return result
  }
}

extension Matrix {
  /// element · factors[row] · factors[column], of a square matrix.
  func scaled(by factors: [Float]) -> Matrix {
    precondition(rows == columns && factors.count == columns)
    let result = columnsScaled(by: factors)
    result.floats.withMutableSpan { values in
      for row in 0..<rows { for column in 0..<columns { values[row * columns + column] *= factors[row] } }
    }
    return result
  }

  /// element · factors[column]
  func columnsScaled(by factors: [Float]) -> Matrix {
    precondition(factors.count == columns)
    let result = Matrix(rows: rows, columns: columns)
    result.copy(from: self)
    result.floats.withMutableSpan { values in
      for row in 0..<rows { for column in 0..<columns { values[row * columns + column] *= factors[column] } }
    }
    return result
  }
}
