import Glibc
import Synchronization

/// One long call on a thread of its own, beside the pool's, begun at once.
@safe public final class BackgroundWork: Sendable {
  private let body: Body
  private let thread: Mutex<pthread_t?>

  /// What the thread owns.
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  public init(_ run: @escaping @Sendable () -> Void) {
    body = Body(run)
    var started = pthread_t()
    // Safe: the thread takes the one reference that is retained for it, or, where none is granted, this does.
    let context = unsafe Unmanaged.passRetained(body).toOpaque()
    let status = unsafe pthread_create(
      &started, nil,
      { context in
        guard let context = unsafe context else { return nil }
        unsafe Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, context)
    if status != 0 { unsafe Unmanaged<Body>.fromOpaque(context).release() }
    thread = Mutex(status == 0 ? started : nil)
    if status != 0 { run() }
  }

  deinit {
    thread.withLock { thread in
      if let thread { _ = pthread_detach(thread) }
    }
  }

  /// Returns when it is over; without work for the processor until then.
  public func wait() {
    thread.withLock { thread in
      guard let running = thread else { return }
      _ = unsafe pthread_join(running, nil)
      thread = nil
    }
  }
}
