import CKernels

/// The threads that share the work of an operation, the calling thread among them.
///
/// Threads claim shares as they come, spin briefly for the next operation, then park. Make one for the process.
@safe public final class WorkerPool: Sendable {
  nonisolated(unsafe) let pool: OpaquePointer

  /// `threads`: how many work at once, at least one. Traps when the system grants no threads.
  public init(threads: Int) {
    guard let pool = unsafe quern_pool_create(threads) else { preconditionFailure("cannot start \(threads) threads") }
    unsafe self.pool = pool
  }

  deinit { unsafe quern_pool_destroy(pool) }

  public var threads: Int { unsafe quern_pool_threads(pool) }

  /// Calls `body` once for each index below `tasks`, several at a time, and returns when all are done.
  /// `body` must not call the pool.
  public func run(tasks: Int, _ body: @Sendable (Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      unsafe withUnsafePointer(to: body) { pointer in
        unsafe quern_pool_run(
          pool,
          { context, index, _ in
            guard let context = unsafe context else { return }
            unsafe context.assumingMemoryBound(to: (@Sendable (Int) -> Void).self).pointee(index)
          }, pointer, tasks)
      }
    }
  }

  /// Runs a C task with its arguments; on the calling thread alone where it is over before another would notice.
  func run<Arguments>(_ task: quern_task_pointer?, _ arguments: Arguments, tasks: Int, alone: Bool = false) {
    unsafe withUnsafePointer(to: arguments) {
      unsafe alone ? quern_pool_run_alone(pool, task, $0, tasks) : quern_pool_run(pool, task, $0, tasks)
    }
  }

  /// Runs a C task with each of the arguments, all as one operation.
  func run<Arguments>(_ task: quern_task_pointer?, all arguments: [Arguments], tasks: (Arguments) -> Int) {
    unsafe arguments.withUnsafeBufferPointer { arguments in
      unsafe withUnsafeTemporaryAllocation(of: quern_operation.self, capacity: arguments.count) { operations in
        for i in arguments.indices {
          let count = tasks(unsafe arguments[i])
          unsafe operations.initializeElement(
            at: i, to: quern_operation(task: task, arguments: arguments.baseAddress.map { unsafe $0 + i }, count: count)
          )
        }
        unsafe withUnsafePointer(to: quern_operations(operations: operations.baseAddress, count: operations.count)) {
          unsafe quern_pool_run_all(pool, $0)
        }
      }
    }
  }
}

typealias quern_task_pointer = @convention(c) (UnsafeRawPointer?, Int, UnsafeMutableRawPointer?) -> Void
