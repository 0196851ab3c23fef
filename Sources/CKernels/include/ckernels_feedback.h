// Rounding with error feedback (GPTQ, Frantar et al. 2022; LDLQ, Chee et al. 2023) onto the grids of the block formats,
// and the factorization it needs.
//
// A row w of a matrix becomes ŵ so that δ H δᵀ is small, δ = w − ŵ and H = Σ x xᵀ over the inputs x of the layer. With
// H = M D Mᵀ, M unit upper triangular and D diagonal, the error is Σ_c D_c (δ_c + Σ_{j<c} δ_j M_jc)²: columns are
// rounded in ascending order, each after adding what the errors before it call for.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "ckernels_math.h"

enum {
  QUERN_FEEDBACK_ROWS = 64,  // at most, of one call
  QUERN_PANEL_COLUMNS = 32,  // of the panels below
};

// One call encodes some rows of a matrix. `columns` is a multiple of the format's block and of 32.
typedef struct quern_feedback {
  size_t columns, rows;
  const float *targets;   // [rows][columns]; what is not finite counts as zero
  const float *factor;    // M in panels of 32 columns: [panel][row < 32 (panel + 1)][32]
  const float *diagonal;  // D [columns]
  const float *gram;      // H in panels of 32 columns: [panel][row < columns][32]; null where sweeps is 0
  size_t sweeps;          // passes of coordinate descent over codes and scales afterwards
  uint8_t *blocks;        // out: [rows][the row's bytes]
  float *decoded;         // out: ŵ [rows][columns], or null
  double *errors;         // out: δ H δᵀ [rows]
  void *scratch;          // quern_feedback_scratch(columns) bytes, 64-byte aligned
} quern_feedback;

// Returns how many targets are not finite.
typedef size_t quern_feedback_function(const quern_feedback *);

static inline size_t quern_feedback_scratch(size_t columns) {
  return (columns * (64 + 64 + 16 + 8 + 8 + 4) + (64 << 10)) / 64 * 64 * (QUERN_FEEDBACK_ROWS / 16);
}

// The same for the layouts of GPU libraries: `groupColumns` columns (a multiple of 32 that divides `columns`) share a
// scale, x ≈ scale · (q − zero), low ≤ q ≤ high, both whole, scale > 0. Codes follow from the decoded values.
enum { QUERN_SCALES_F32, QUERN_SCALES_F16, QUERN_SCALES_BF16 };
typedef struct quern_group_feedback {
  size_t columns, rows;
  const float *targets;             // [rows][columns]; what is not finite counts as zero
  const float *factor, *diagonal;   // as above
  size_t groupColumns;
  float low, high;
  int hasZero;                      // else zero is 0
  int scales16;                     // how scales are stored
  float *decoded;                   // out: [rows][columns]
  float *scales, *zeros;            // out: [rows][groups]; zeros may be null without them
  double *errors;                   // out: δ H δᵀ [rows]
  void *scratch;                    // 192 · columns bytes, 64-byte aligned
} quern_group_feedback;

// Steps of the Cholesky factorization A = L Lᵀ in place, lower triangle of a row-major [size][stride] matrix of
// doubles, 64 columns at a time: for each block, `corner` once (1 where A is positive definite so far, else 0), then
// `below` for the rows after it.
enum { QUERN_CHOLESKY_BLOCK = 64 };
typedef struct quern_cholesky {
  double *matrix;
  size_t size, stride;
  size_t block;  // first column of the block
} quern_cholesky;

// Solves z L Lᵀ = y in place for up to sixteen right-hand sides: values are [size][16].
typedef struct quern_solve {
  const double *matrix;
  size_t size, stride;
  double *values;
} quern_solve;

// The gradient of out = softmax(q kᵀ scale) v, causal, for one sequence from position 0: from dOut to dq, dk, dv.
// Rows are tokens: q, dq [tokens, heads · keyDim]; k [tokens, kvHeads · keyDim]; v [tokens, kvHeads · valueDim];
// dOut [tokens, heads · valueDim]. dk [tokens, heads · keyDim] and dv [tokens, heads · valueDim] are what each query head
// gives its keys and values, to be added up over the heads that share them. Shares: heads.
enum { QUERN_BACKWARD_TOKENS = 8192 };  // at most
typedef struct quern_attention_backward {
  const float *q, *k, *v, *dOut;
  float *dq, *dk, *dv;
  size_t tokens, heads, kvHeads, keyDim, valueDim;
  size_t window;  // keys a query sees, itself among them; 0: all before it
  float scale;
} quern_attention_backward;

typedef struct quern_feedback_table {
  quern_feedback_function *rows[48];  // by ggml's type number; null: no error feedback
  size_t (*groups)(const quern_group_feedback *);
  int (*corner)(const quern_cholesky *);
  void (*below)(const quern_cholesky *, size_t firstRow, size_t rowCount);
  void (*solve)(const quern_solve *);
  quern_task *attentionBackward;  // quern_attention_backward
} quern_feedback_table;
