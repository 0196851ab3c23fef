// What of Linux Swift's overlay of the C library leaves out.
#pragma once
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>
#include <sys/syscall.h>

// Begins to carry a file's changed pages to the disk and does not wait for them.
static inline void quern_begin_writeback(int descriptor) {
#ifdef SYS_sync_file_range
  syscall(SYS_sync_file_range, descriptor, 0L, 0L, 2 /* SYNC_FILE_RANGE_WRITE */);
#else
  (void)descriptor;
#endif
}
