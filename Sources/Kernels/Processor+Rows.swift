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
  /// out = x / sqrt(mean(x²) + epsilon) · weight, row by row, or for each of `parts` equal parts of a row alone.
  /// weight: [columns / parts], or [columns] where each part has its own.
  public func rmsNorm(_ x: Matrix, weight: Floats?, epsilon: Float, parts: Int = 1, into out: Matrix) {
    unsafe run(kernels.math.rmsNorm, x, into: out, weight: weight, epsilon: epsilon, parts: parts)
  }

  /// out = (x − mean) / sqrt(variance + epsilon) · weight + bias, row by row or part by part. bias: [columns / parts].
  public func layerNorm(
    _ x: Matrix, weight: Floats?, bias: Floats?, epsilon: Float, parts: Int = 1, into out: Matrix
  ) {
    unsafe run(kernels.math.layerNorm, x, into: out, weight: weight, bias: bias, epsilon: epsilon, parts: parts)
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
    bias: Floats? = nil, epsilon: Float = 0, factor: Float = 0, activation: Activation = .relu, parts: Int = 1
  ) {
    precondition(x.rows == out.rows && x.columns == out.columns && x.columns % parts == 0, "shapes differ")
    if let y { precondition(y.rows == x.rows && y.columns == x.columns, "shapes differ") }
    let rows = x.rows * parts
    let columns = x.columns / parts
    if let weight {
      precondition(weight.count == columns || weight.count == x.columns, "the weight has another width")
    }
    if let bias { precondition(bias.count == columns, "the bias has another width") }
    guard rows > 0 && columns > 0 else { return }
    let rowsPerTask = rowsPerTask(rows: rows, columns: columns)
    let arguments = unsafe quern_rows(
      out: out.base, x: x.base, y: y?.base, outStride: out.stride, xStride: x.stride, yStride: y?.stride ?? 0,
      rows: rows, columns: columns, weight: weight?.base, bias: bias?.base, epsilon: epsilon, factor: factor,
      unary: activation.code, rowsPerTask: rowsPerTask, parts: parts,
      weightStride: weight.map { $0.count == columns ? 0 : columns } ?? 0, index: nil, factors: nil)
    unsafe pool.run(task, arguments, tasks: (rows + rowsPerTask - 1) / rowsPerTask)
  }

  /// out = x[index], row by row.
  public func gather(_ x: Matrix, rows index: ArraySlice<Int32>, into out: Matrix) {
    precondition(out.rows == index.count && out.columns == x.columns, "shapes differ")
    precondition(index.allSatisfy { (0..<x.rows).contains(Int($0)) }, "no such row")
    unsafe run(kernels.math.gather, x, into: out, rows: out.rows, index: index, factors: nil)
  }

  /// out[index] += factors · x, row by row; no row twice, so that rows can be shared among threads.
  public func scatterAdd(_ x: Matrix, times factors: ArraySlice<Float>, into out: Matrix, rows index: ArraySlice<Int32>)
  {
    precondition(x.rows == index.count && x.rows == factors.count && out.columns == x.columns, "shapes differ")
    precondition(index.allSatisfy { (0..<out.rows).contains(Int($0)) }, "no such row")
    unsafe run(kernels.math.scatterAdd, x, into: out, rows: x.rows, index: index, factors: factors)
  }

  private func run(
    _ task: quern_task_pointer?, _ x: Matrix, into out: Matrix, rows: Int, index: ArraySlice<Int32>,
    factors: ArraySlice<Float>?
  ) {
    guard rows > 0 && x.columns > 0 else { return }
    let rowsPerTask = rowsPerTask(rows: rows, columns: x.columns)
    unsafe index.withUnsafeBufferPointer { index in
      unsafe (factors ?? []).withUnsafeBufferPointer { factors in
        var arguments = unsafe quern_rows()
        unsafe arguments.out = out.base
        unsafe arguments.outStride = out.stride
        unsafe arguments.x = UnsafePointer(x.base)
        unsafe arguments.xStride = x.stride
        unsafe arguments.rows = rows
        unsafe arguments.columns = x.columns
        unsafe arguments.rowsPerTask = rowsPerTask
        unsafe arguments.index = index.baseAddress
        unsafe arguments.factors = factors.baseAddress
        unsafe pool.run(task, arguments, tasks: (rows + rowsPerTask - 1) / rowsPerTask)
      }
    }
  }
}
