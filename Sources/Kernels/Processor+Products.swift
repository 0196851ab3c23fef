import CKernels

/// One of several products that share an input.
public struct Product: Sendable {
  public let weights: WeightMatrix
  /// [tokens, weights.rows]
  public let output: Matrix
  /// [weights.rows], added.
  public let bias: Floats?
  /// Whether to add to what the output holds.
  public let accumulates: Bool

  public init(_ weights: WeightMatrix, into output: Matrix, bias: Floats? = nil, accumulate: Bool = false) {
    precondition(output.columns == weights.rows, "the output has another width")
    if let bias { precondition(bias.count == weights.rows, "the bias has another length") }
    self.weights = weights
    self.output = output
    self.bias = bias
    accumulates = accumulate
  }
}

extension Processor {
  /// out = input · weightsᵀ (+ bias) (+ out). out: [tokens, weights.rows]; bias: [weights.rows].
  ///
  /// Each element is one chain of fused multiply-adds in ascending column order, in int8 products one of exact block
  /// sums, so a token's result does not depend on the others beside it.
  public func multiply(
    _ input: ProductInput, _ weights: WeightMatrix, into out: Matrix, bias: Floats? = nil, accumulate: Bool = false
  ) {
    guard input.matrix.rows > 0 else { return }
    guard input.announce([weights]) else { return }
    let arguments = unsafe description(input, Product(weights, into: out, bias: bias, accumulate: accumulate))
    unsafe pool.run(kernels.math.multiply, arguments, tasks: Self.tasks(arguments))
  }

  /// The same for several matrices at once (query, key and value; gate and up), which saves waiting in between.
  public func multiply(_ input: ProductInput, _ products: [Product]) {
    guard input.matrix.rows > 0, !products.isEmpty else { return }
    guard input.announce(products.map(\.weights)) else { return }
    let arguments = unsafe products.map { unsafe description(input, $0) }
    unsafe pool.run(kernels.math.multiply, all: arguments, tasks: Self.tasks)
  }

  private static func tasks(_ arguments: quern_product) -> Int {
    let panels = unsafe (arguments.rows + 15) / 16
    return unsafe (panels + arguments.panelsPerTask - 1) / arguments.panelsPerTask
  }

  private func description(_ input: ProductInput, _ product: Product) -> quern_product {
    let x = input.matrix
    let weights = product.weights
    precondition(x.columns == weights.columns, "the input has another width than the weights")
    precondition(product.output.rows == x.rows, "the output has another number of tokens")
    let panels = (weights.rows + 15) / 16
    // Some shares per thread, so that one that is held up elsewhere does not hold up the rest.
    let shares = pool.threads == 1 ? 1 : min(panels, pool.threads * 8)
    var arguments = unsafe quern_product()
    unsafe arguments.weights = weights.storage.code
    unsafe arguments.panels = UnsafePointer(weights.base.assumingMemoryBound(to: UInt8.self))
    unsafe arguments.rows = weights.rows
    unsafe arguments.columns = weights.columns
    if case .encoded(let decoder) = weights.storage {
      unsafe arguments.decode = decoder.decode
      unsafe arguments.blockElements = decoder.blockElements
      unsafe arguments.rowBytes = weights.rowByteCount
    }
    unsafe arguments.input = UnsafeRawPointer(input.arranged(asInt8: weights.storage.isInt8, by: self))
    unsafe arguments.tokens = x.rows
    unsafe arguments.out = product.output.base
    unsafe arguments.outStride = product.output.stride
    unsafe arguments.bias = UnsafePointer(product.bias?.base)
    unsafe arguments.accumulate = product.accumulates ? 1 : 0
    unsafe arguments.panelsPerTask = (panels + shares - 1) / shares
    return unsafe arguments
  }
}
