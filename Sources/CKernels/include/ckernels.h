// The one door into the C kernels: a table of functions per instruction set, chosen once at start.
//
// Every table computes the same bits. Float work is defined over sixteen lanes in a fixed order with explicit fused
// multiply-adds and no contraction, so the tables share one source (the *.inc.h files) compiled once per instruction
// set; only the integer dot products have hand-written forms, and integers are exact.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "ckernels_codecs.h"
#include "ckernels_digest.h"
#include "ckernels_feedback.h"
#include "ckernels_grids.h"
#include "ckernels_math.h"
#include "ckernels_pool.h"

typedef struct quern_kernels {
  const char *name;                 // "generic", "avx2", "avx512", "neon"
  const char *features;             // what the processor must offer, for messages
  const quern_math_table *math;     // products, attention, norms, activations
  const quern_codec_table *codecs;  // block encoders and decoders
  const quern_feedback_table *feedback;  // rounding with error feedback
} quern_kernels;

// The tables compiled into this binary, best first; the last one (generic) runs everywhere. Returns their number.
size_t quern_kernels_all(const quern_kernels *const **tables);

// Whether this processor (and operating system) can run the table.
int quern_kernels_supported(const quern_kernels *table);
