/// What computes: the kernels and the threads that run them. All operators are its methods.
///
/// Results depend on neither the threads nor the instruction set nor how many tokens go together. In-place use (an
/// input given as the output) is fine for every operator on elements and for the norms.
public struct Processor: Sendable {
  public let kernels: Kernels
  public let pool: WorkerPool

  public init(kernels: Kernels, pool: WorkerPool) {
    self.kernels = kernels
    self.pool = pool
  }

  /// Elements that are worth a thread's attention: some 10 µs of work.
  static var grain: Int { 16384 }

  /// Rows per share so that each share is worth waking a thread for.
  func rowsPerTask(rows: Int, columns: Int) -> Int {
    max(1, min(rows, Self.grain / max(1, columns)))
  }
}
