import CKernels

/// The Cholesky factor of a symmetric positive definite matrix, in doubles.
@safe public final class CholeskyFactor: Sendable {
  public let size: Int
  private let buffer: Buffer
  private let kernels: Kernels

  /// `element(row, column)` is asked for the lower triangle. Nil when the matrix is not positive definite.
  /// size³ / 3 multiplications; memory 8 · size² bytes.
  public init?(size: Int, on processor: Processor, element: (Int, Int) -> Double) {
    precondition(size > 0)
    self.size = size
    kernels = processor.kernels
    buffer = Buffer(byteCount: size * size * 8)
    let matrix = unsafe buffer.base.assumingMemoryBound(to: Double.self)
    for row in 0..<size {
      for column in 0...row { unsafe matrix[row * size + column] = element(row, column) }
    }
    let table = unsafe processor.kernels.table.pointee.feedback.pointee
    let block = Int(QUERN_CHOLESKY_BLOCK)
    for first in stride(from: 0, to: size, by: block) {
      var step = unsafe quern_cholesky(matrix: matrix, size: size, stride: size, block: first)
      guard unsafe table.corner(&step) != 0 else { return nil }
      let begin = first + block
      guard begin < size else { break }
      let base = unsafe Shared(buffer.base)
      processor.pool.run(tasks: (size - begin + 31) / 32) { task in
        var step = unsafe quern_cholesky(
          matrix: base.pointer.assumingMemoryBound(to: Double.self), size: size, stride: size, block: first)
        let row = begin + task * 32
        unsafe table.below(&step, row, min(32, size - row))
      }
    }
  }

  /// L[row, column], for column ≤ row.
  public subscript(row: Int, column: Int) -> Double {
    precondition(row >= 0 && row < size && column >= 0 && column <= row)
    return unsafe buffer.base.assumingMemoryBound(to: Double.self)[row * size + column]
  }

  /// Solves z · L · Lᵀ = y for sixteen y at once, in place: values[k · 16 + n] is element k of system n.
  public func solve(_ values: inout [Double]) {
    precondition(values.count == size * 16, "sixteen right-hand sides")
    let table = unsafe kernels.table.pointee.feedback.pointee
    unsafe values.withUnsafeMutableBufferPointer { values in
      // The kernel's vectors are aligned; an array's storage is not.
      let copy = Buffer(byteCount: values.count * 8)
      let aligned = unsafe copy.base.assumingMemoryBound(to: Double.self)
      guard let source = values.baseAddress else { return }
      unsafe aligned.update(from: source, count: values.count)
      var arguments = unsafe quern_solve(
        matrix: buffer.base.assumingMemoryBound(to: Double.self), size: size, stride: size, values: aligned)
      unsafe table.solve(&arguments)
      unsafe source.update(from: aligned, count: values.count)
    }
  }
}

/// A pointer that threads share on purpose.
@safe struct Shared: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  init(_ pointer: UnsafeMutableRawPointer) { unsafe self.pointer = pointer }
}
