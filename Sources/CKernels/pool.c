// The worker pool: threads that spin briefly for work, then park on a futex.
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/ckernels_pool.h"

enum {
  spinsBeforePark = 4000,  // some 50 µs: longer than the serial work between two operations of a token
  spinsBeforeYield = 2000,
};

typedef struct worker {
  struct quern_pool *pool;
  pthread_t thread;
  void *scratch;
} worker;

struct quern_pool {
  size_t threads;
  worker *workers;  // [threads]; the first one stands for the caller
  pthread_mutex_t turn;
  // The job. Written by the caller only while `open` is 0 and `active` is 0, so a worker inside never sees a change.
  quern_task *task;
  const void *arguments;
  size_t count;
  _Alignas(64) _Atomic uint32_t generation;  // futex: one more for each job
  _Atomic uint32_t sleepers;
  _Atomic int stop;
  _Alignas(64) _Atomic size_t next;  // the first unclaimed share
  _Alignas(64) _Atomic uint32_t open;
  _Alignas(64) _Atomic uint32_t active;  // workers that are inside the job
};

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

static void claim(quern_pool *p, void *scratch) {
  size_t count = p->count, i;
  while ((i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed)) < count) p->task(p->arguments, i, scratch);
}

static void *serve(void *argument) {
  worker *me = argument;
  quern_pool *p = me->pool;
  uint32_t seen = 0;
  for (;;) {
    uint32_t now;
    for (int spin = 0; (now = atomic_load(&p->generation)) == seen; spin++) {
      if (spin < spinsBeforePark) {
        pause_briefly();
        continue;
      }
      atomic_fetch_add(&p->sleepers, 1);
      syscall(SYS_futex, &p->generation, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
      atomic_fetch_sub(&p->sleepers, 1);
      spin = 0;
    }
    seen = now;
    if (atomic_load(&p->stop)) return NULL;
    // Announce first, look second; the caller closes first, then waits for the announced: one of the two notices.
    atomic_fetch_add(&p->active, 1);
    if (atomic_load(&p->open)) claim(p, me->scratch);
    atomic_fetch_sub(&p->active, 1);
  }
}

static void *scratch_create(void) {
  void *scratch = mmap(NULL, QUERN_SCRATCH_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return scratch == MAP_FAILED ? NULL : scratch;
}

static void publish(quern_pool *p) {
  atomic_fetch_add(&p->generation, 1);
  if (atomic_load(&p->sleepers)) syscall(SYS_futex, &p->generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

quern_pool *quern_pool_create(size_t threads) {
  if (threads < 1) threads = 1;
  quern_pool *p = aligned_alloc(64, (sizeof *p + 63) / 64 * 64);
  if (!p) return NULL;
  *p = (quern_pool){0};
  pthread_mutex_init(&p->turn, NULL);
  p->workers = calloc(threads, sizeof *p->workers);
  if (!p->workers || !(p->workers[0].scratch = scratch_create())) {
    quern_pool_destroy(p);
    return NULL;
  }
  p->threads = 1;
  for (; p->threads < threads; p->threads++) {
    worker *w = &p->workers[p->threads];
    w->pool = p;
    w->scratch = scratch_create();
    if (!w->scratch || pthread_create(&w->thread, NULL, serve, w)) {
      if (w->scratch) munmap(w->scratch, QUERN_SCRATCH_BYTES);
      quern_pool_destroy(p);
      return NULL;
    }
  }
  return p;
}

void quern_pool_destroy(quern_pool *p) {
  if (!p) return;
  atomic_store(&p->stop, 1);
  publish(p);
  for (size_t i = 0; i < p->threads; i++) {
    if (i) pthread_join(p->workers[i].thread, NULL);
    if (p->workers[i].scratch) munmap(p->workers[i].scratch, QUERN_SCRATCH_BYTES);
  }
  pthread_mutex_destroy(&p->turn);
  free(p->workers);
  free(p);
}

size_t quern_pool_threads(const quern_pool *p) { return p->threads; }

void quern_pool_run(quern_pool *p, quern_task *task, const void *arguments, size_t count) {
  pthread_mutex_lock(&p->turn);
  void *scratch = p->workers[0].scratch;
  if (p->threads == 1 || count <= 1) {
    for (size_t i = 0; i < count; i++) task(arguments, i, scratch);
  } else {
    p->task = task;
    p->arguments = arguments;
    p->count = count;
    atomic_store(&p->next, 0);
    atomic_store(&p->open, 1);
    publish(p);
    claim(p, scratch);
    atomic_store(&p->open, 0);
    for (int spin = 0; atomic_load(&p->active); spin++) {
      if (spin < spinsBeforeYield) pause_briefly();
      else sched_yield();
    }
  }
  pthread_mutex_unlock(&p->turn);
}

void quern_pool_run_alone(quern_pool *p, quern_task *task, const void *arguments, size_t count) {
  pthread_mutex_lock(&p->turn);
  for (size_t i = 0; i < count; i++) task(arguments, i, p->workers[0].scratch);
  pthread_mutex_unlock(&p->turn);
}

static void one_of_all(const void *arguments, size_t index, void *scratch) {
  const quern_operations *all = arguments;
  for (size_t i = 0; i < all->count; i++) {
    const quern_operation *o = &all->operations[i];
    if (index < o->count) {
      o->task(o->arguments, index, scratch);
      return;
    }
    index -= o->count;
  }
}

void quern_pool_run_all(quern_pool *p, const quern_operations *all) {
  size_t count = 0;
  for (size_t i = 0; i < all->count; i++) count += all->operations[i].count;
  quern_pool_run(p, one_of_all, all, count);
}
