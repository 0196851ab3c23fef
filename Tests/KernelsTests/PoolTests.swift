import Glibc
import Kernels
import Synchronization
import Testing

@Suite struct PoolTests {
  @Test(arguments: [1, 2, 5])
  func everyShareRunsOnce(_ threads: Int) {
    let pool = WorkerPool(threads: threads)
    #expect(pool.threads == threads)
    let sum = Atomic<Int>(0)
    for round in 0..<2000 {
      // Now and then long enough a pause for the workers to park.
      if round % 500 == 0 { usleep(2000) }
      let tasks = round % 17
      pool.run(tasks: tasks) { index in sum.add(1 << (index % 3), ordering: .relaxed) }
      let want = (0..<tasks).reduce(0) { $0 + 1 << ($1 % 3) }
      #expect(sum.exchange(0, ordering: .relaxed) == want)
    }
  }

  @Test("work in the background has begun at once and is over after waiting, however often")
  func background() {
    let count = Atomic<Int>(0)
    let works = (0..<20).map { _ in BackgroundWork { count.add(1, ordering: .relaxed) } }
    for work in works + works { work.wait() }
    let total = count.load(ordering: .relaxed)
    #expect(total == 20)
  }

  @Test("work that nobody waits for keeps what it needs")
  func abandoned() {
    let done = WorkerFlag()
    do { _ = BackgroundWork { [done] in done.isSet.store(true, ordering: .relaxed) } }
    for _ in 0..<5000 where !done.isSet.load(ordering: .relaxed) { usleep(1000) }
    let isDone = done.isSet.load(ordering: .relaxed)
    #expect(isDone)
  }

  private final class WorkerFlag: Sendable {
    let isSet = Atomic<Bool>(false)
  }

  @Test func selection() throws {
    #expect(Kernels.available.last?.name == "generic")
    #expect(try Kernels.named("generic").name == "generic")
    #expect(throws: KernelSelectionError.self) { try Kernels.named("mmx") }
  }
}
