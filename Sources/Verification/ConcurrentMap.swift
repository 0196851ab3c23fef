import Kernels
import Synchronization

/// The results of `body` for each index below `count`, in order, computed on the pool's threads.
func concurrentMap<Result: Sendable>(_ count: Int, pool: WorkerPool, _ body: @Sendable (Int) -> Result) -> [Result] {
  let results = Mutex<[Result?]>(Array(repeating: nil, count: count))
  pool.run(tasks: count) { index in
    let result = body(index)
    results.withLock { $0[index] = result }
  }
  return results.withLock { $0.compactMap(\.self) }
}
