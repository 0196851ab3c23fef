import CKernels

/// A function of one number.
public enum Activation: Sendable, CaseIterable {
  case relu
  /// x · Φ(x), by erf.
  case gelu
  /// The tanh approximation of gelu.
  case geluTanh
  /// x · sigmoid(1.702 x).
  case geluQuick
  /// x · sigmoid(x).
  case silu
  case sigmoid
  case tanh

  var code: quern_unary {
    switch self {
    case .relu: QUERN_RELU
    case .gelu: QUERN_GELU
    case .geluTanh: QUERN_GELU_TANH
    case .geluQuick: QUERN_GELU_QUICK
    case .silu: QUERN_SILU
    case .sigmoid: QUERN_SIGMOID
    case .tanh: QUERN_TANH
    }
  }
}

extension Processor {
  /// out = x / sqrt(mean(x²) + epsilon) · weight, row by row. weight: [columns].
  public func rmsNorm(_ x: Matrix, weight: Floats?, epsilon: Float, into out: Matrix) {
    unsafe run(kernels.math.rmsNorm, x, into: out, weight: weight, epsilon: epsilon)
  }

  /// out = (x − mean) / sqrt(variance + epsilon) · weight + bias, row by row. weight, bias: [columns].
  public func layerNorm(_ x: Matrix, weight: Floats?, bias: Floats?, epsilon: Float, into out: Matrix) {
    unsafe run(kernels.math.layerNorm, x, into: out, weight: weight, bias: bias, epsilon: epsilon)
  }

  /// out = softmax(x · factor), row by row.
  public func softmax(_ x: Matrix, factor: Float = 1, into out: Matrix) {
    unsafe run(kernels.math.softmax, x, into: out, factor: factor)
  }

  /// out = activation(x).
  public func activate(_ activation: Activation, _ x: Matrix, into out: Matrix) {
    unsafe run(kernels.math.unary, x, into: out, activation: activation)
  }

  /// out = activation(x) · y, the gate of a gated feed-forward.
  public func gate(_ activation: Activation, _ x: Matrix, times y: Matrix, into out: Matrix) {
    unsafe run(kernels.math.gate, x, y, into: out, activation: activation)
  }

  /// out = x + factor · y.
  public func add(_ x: Matrix, _ y: Matrix, factor: Float = 1, into out: Matrix) {
    unsafe run(kernels.math.add, x, y, into: out, factor: factor)
  }

  /// out = x · y, element by element.
  public func multiply(_ x: Matrix, by y: Matrix, into out: Matrix) {
    unsafe run(kernels.math.multiplyRows, x, y, into: out)
  }

  /// out = x · factor.
  public func scale(_ x: Matrix, by factor: Float, into out: Matrix) {
    unsafe run(kernels.math.scale, x, into: out, factor: factor)
  }

  /// out = cap · tanh(x / cap).
  public func softcap(_ x: Matrix, cap: Float, into out: Matrix) {
    unsafe run(kernels.math.softcap, x, into: out, factor: cap)
  }

  /// out = x + bias, row by row. bias: [columns].
  public func addBias(_ x: Matrix, _ bias: Floats, into out: Matrix) {
    unsafe run(kernels.math.addBias, x, into: out, bias: bias)
  }

  private func run(
    _ task: quern_task_pointer?, _ x: Matrix, _ y: Matrix? = nil, into out: Matrix, weight: Floats? = nil,
    bias: Floats? = nil, epsilon: Float = 0, factor: Float = 0, activation: Activation = .relu
  ) {
    precondition(x.rows == out.rows && x.columns == out.columns, "shapes differ")
    if let y { precondition(y.rows == x.rows && y.columns == x.columns, "shapes differ") }
    if let weight { precondition(weight.count == x.columns, "the weight has another width") }
    if let bias { precondition(bias.count == x.columns, "the bias has another width") }
    guard x.rows > 0 && x.columns > 0 else { return }
    let rowsPerTask = rowsPerTask(rows: x.rows, columns: x.columns)
    let arguments = unsafe quern_rows(
      out: out.base, x: x.base, y: y?.base, outStride: out.stride, xStride: x.stride, yStride: y?.stride ?? 0,
      rows: x.rows, columns: x.columns, weight: weight?.base, bias: bias?.base, epsilon: epsilon, factor: factor,
      unary: activation.code, rowsPerTask: rowsPerTask)
    unsafe pool.run(task, arguments, tasks: (x.rows + rowsPerTask - 1) / rowsPerTask)
  }
}
