import CKernels

extension Processor {
  /// out = input · weightsᵀ (+ bias) (+ out). out: [tokens, weights.rows]; bias: [weights.rows].
  ///
  /// Each element is one chain of fused multiply-adds in ascending column order, in int8 products one of exact block
  /// sums, so a token's result does not depend on the others beside it.
  public func multiply(
    _ input: ProductInput, _ weights: WeightMatrix, into out: Matrix, bias: Floats? = nil, accumulate: Bool = false
  ) {
    let x = input.matrix
    precondition(x.columns == weights.columns, "the input has another width than the weights")
    precondition(out.rows == x.rows && out.columns == weights.rows, "the output has another shape")
    if let bias { precondition(bias.count == weights.rows, "the bias has another length") }
    guard x.rows > 0 else { return }
    let panels = (weights.rows + 15) / 16
    // Some shares per thread, so that one that is held up elsewhere does not hold up the rest.
    let shares = pool.threads == 1 ? 1 : min(panels, pool.threads * 8)
    let panelsPerTask = (panels + shares - 1) / shares
    var arguments = unsafe quern_product()
    unsafe arguments.weights = weights.storage.code
    unsafe arguments.panels = UnsafePointer(weights.buffer.base.assumingMemoryBound(to: UInt8.self))
    unsafe arguments.rows = weights.rows
    unsafe arguments.columns = weights.columns
    if case .encoded(let decoder) = weights.storage {
      unsafe arguments.decode = decoder.decode
      unsafe arguments.blockElements = decoder.blockElements
      unsafe arguments.rowBytes = weights.rowByteCount
    }
    unsafe arguments.input = UnsafeRawPointer(input.arranged(asInt8: weights.storage.isInt8, by: self))
    unsafe arguments.tokens = x.rows
    unsafe arguments.out = out.base
    unsafe arguments.outStride = out.stride
    unsafe arguments.bias = UnsafePointer(bias?.base)
    unsafe arguments.accumulate = accumulate ? 1 : 0
    unsafe arguments.panelsPerTask = panelsPerTask
    unsafe pool.run(kernels.math.multiply, arguments, tasks: (panels + panelsPerTask - 1) / panelsPerTask)
  }
}
