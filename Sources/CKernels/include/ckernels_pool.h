// One set of worker threads that claim the shares of an operation.
#pragma once
#include <stddef.h>

#include "ckernels_math.h"

typedef struct quern_pool quern_pool;

// A pool in which `threads` threads work, the caller being one of them. Null when memory or threads are lacking.
quern_pool *quern_pool_create(size_t threads);
void quern_pool_destroy(quern_pool *);
size_t quern_pool_threads(const quern_pool *);

// Calls task(arguments, index, scratch) for every index below `count` and returns when all are done. The caller works
// too, and never waits for a thread that has not begun: a busy processor costs its share, not a deadlock of spinning.
// Not reentrant: one run at a time (calls from several threads take turns).
void quern_pool_run(quern_pool *, quern_task *task, const void *arguments, size_t count);

// The same without the other threads: for operations that are over before a thread would have noticed.
void quern_pool_run_alone(quern_pool *, quern_task *task, const void *arguments, size_t count);

// Several independent operations as one: their shares are claimed from one counter, so there is one end to wait for.
typedef struct quern_operation {
  quern_task *task;
  const void *arguments;
  size_t count;
} quern_operation;
typedef struct quern_operations {
  const quern_operation *operations;
  size_t count;
} quern_operations;
void quern_pool_run_all(quern_pool *, const quern_operations *);
