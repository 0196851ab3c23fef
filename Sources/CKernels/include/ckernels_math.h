// Products, attention, norms and activations: the math half of a kernel table.
//
// Every entry of type `quern_task` works on one share of its operation: the caller fills the argument structure named
// beside the entry, computes the number of shares, and calls the entry once for each index (in any order, from any
// thread, each thread with a scratch area of its own). Matrices are row-major float unless said otherwise; strides
// count elements. The result never depends on the shares, their order, the table, or how many tokens go together.
#pragma once
#include <stddef.h>
#include <stdint.h>

// One share of an operation. `scratch`: QUERN_SCRATCH_BYTES, 64-byte aligned, contents free to overwrite.
typedef void quern_task(const void *arguments, size_t index, void *scratch);
enum { QUERN_SCRATCH_BYTES = 2 << 20, QUERN_PANEL_ROWS = 16, QUERN_INPUT_BLOCK_BYTES = 48 };

// Expands consecutive blocks to floats; elementCount is a multiple of the block's length.
typedef void quern_decode(const uint8_t *blocks, float *out, size_t elementCount);

// How the weights of a product are stored. All but ENCODED are panels of 16 rows, see quern_panel_bytes.
typedef enum quern_weights {
  QUERN_WEIGHTS_F32,
  QUERN_WEIGHTS_F16,
  QUERN_WEIGHTS_BF16,
  QUERN_WEIGHTS_ENCODED,  // rows of blocks as in the file, expanded by `decode`
  QUERN_WEIGHTS_Q8_0,     // from here on: multiplied as integers
  QUERN_WEIGHTS_Q4_0,
  QUERN_WEIGHTS_Q4_1,
  QUERN_WEIGHTS_Q5_0,
  QUERN_WEIGHTS_Q5_1,
} quern_weights;

// Bytes of one panel of 16 rows, a multiple of 64; 0 for QUERN_WEIGHTS_ENCODED. Float panels are [columns][16]; the
// panels of blocks are drawn in panels.h.
size_t quern_panel_bytes(quern_weights weights, size_t columns);

// Repacks `rowCount` rows (as in the file: blocks, or little-endian elements, rows one after another) into `panels`,
// the matrix's whole panel storage, from row `firstRow` on.
void quern_pack(quern_weights weights, size_t columns, uint8_t *panels, size_t firstRow, size_t rowCount,
                const uint8_t *rows);

// One row of the panels as floats: d · q (+ m), each operation rounded, which is what the codecs decode to.
void quern_unpack_row(quern_weights weights, size_t columns, const uint8_t *panels, size_t row, float *out);

// Inputs of a product, arranged for the tiles: groups of `tile` tokens (the last one smaller), one group after another.
// Float: [column][token]. Int8, groups of `int8Tile`, per block of 32 columns: i32 q[8][token] (4 signed codes each),
// i32 offsets[token] (two i16: −8 times the sum over columns ≡ 0, 1 and ≡ 2, 3 modulo 4), i32 sum[token],
// f32 d[token] (amax / 127), f32 d·sum[token].
typedef struct quern_input {
  const float *x;         // [tokens, columns]
  size_t xStride;
  size_t tokens, columns;
  void *out;              // columns · tokens floats, or (columns / 32) · QUERN_INPUT_BLOCK_BYTES · tokens bytes
} quern_input;

// For products over time, out[i][j] = Σ_t w[t] · a[t][i] · b[t][j]: up to 16 columns of b [tokens, columns] as one float
// panel of 16 rows and `tokens` columns (weights: [tokens], or null for ones), and up to `tile` columns of a as one of
// the input groups that go with it.
void quern_gram_panel(const float *b, size_t stride, size_t tokens, size_t columns, const float *weights, float *panel);
void quern_gram_group(const float *a, size_t stride, size_t tokens, size_t columns, float *group);

// out[token][row] = Σ weights[row][column] · input[token][column] (+ bias[row]) (+ what was there).
// Floats: one chain of fused multiply-adds, columns ascending. Integers: per block the exact sum i, then
// f = fma(i, dw·da, f), and for types with a minimum f = fma(m, sa, f); blocks ascending.
typedef struct quern_product {
  quern_weights weights;
  const uint8_t *panels;
  size_t rows, columns;
  quern_decode *decode;   // ENCODED only, with the next two
  size_t blockElements, rowBytes;
  const void *input;      // as arranged by prepareFloats or prepareInt8
  size_t tokens;
  float *out;
  size_t outStride;
  const float *bias;      // [rows] or null
  int accumulate;
  size_t panelsPerTask;   // shares: ceil(panels / panelsPerTask)
} quern_product;

typedef enum quern_cache_element {
  QUERN_CACHE_F32,
  QUERN_CACHE_F16,
  QUERN_CACHE_Q8_0,  // from here on: blocks of 32 of a position's elements, the last one filled with zeros
  QUERN_CACHE_Q4_0,
} quern_cache_element;

// Keys [kvHead][panel of 16 positions][keyDim][16]; values [kvHead][capacity][valueDim rounded up to 16]. Packed: keys
// [kvHead][panel][block][16 positions' blocks, woven as cache.inc.h draws them]; values [kvHead][capacity][block].
// capacity is a multiple of 16.
typedef struct quern_cache {
  void *keys, *values;
  quern_cache_element element;
  size_t kvHeads, capacity, keyDim, valueDim;
} quern_cache;

// Shares: kvHeads.
typedef struct quern_append {
  quern_cache cache;
  const float *k, *v;     // [tokens, kvHeads · keyDim], [tokens, kvHeads · valueDim]
  size_t kStride, vStride, position, tokens;
} quern_append;

// Query row r of a kv head is token r / group, head kvHead · group + r % group, where group = heads / kvHeads.
// A score is the fma chain over the dimensions of (q · scale) · k. Softmax is online over chunks of 256 keys counted from
// position 0, so nothing depends on the batch.
// Shares: kvHeads · ceil(tokens · group / rowsPerTask); rowsPerTask at most QUERN_ATTENTION_ROWS.
enum { QUERN_ATTENTION_ROWS = 96 };
typedef struct quern_attention {
  quern_cache cache;
  const float *q;         // [tokens, heads · keyDim]
  float *out;             // [tokens, heads · valueDim]
  size_t qStride, outStride, heads, tokens;
  size_t position;        // of the first query
  size_t length;          // keys present; a query sees none at or after this
  float scale, softcap;   // softcap 0: none
  int causal;
  size_t window;          // keys with query position − key position < window are seen; 0: all
  size_t rowsPerTask;
  // Added to each visible score, after scale and softcap: bias[head · biasHeadStride + token · biasTokenStride + key],
  // null for none. A token stride of −1 lets all tokens share one vector over key − query.
  const float *bias;
  ptrdiff_t biasHeadStride, biasTokenStride;
} quern_attention;

typedef enum quern_unary {
  QUERN_RELU, QUERN_GELU, QUERN_GELU_TANH, QUERN_GELU_QUICK, QUERN_SILU, QUERN_SIGMOID, QUERN_TANH,
} quern_unary;

// Operations on rows; which fields count is said at the entry. Shares: ceil(rows / rowsPerTask).
typedef struct quern_rows {
  float *out;
  const float *x, *y;
  size_t outStride, xStride, yStride;
  size_t rows, columns;
  const float *weight, *bias;
  float epsilon, factor;
  quern_unary unary;
  size_t rowsPerTask;
  // Norms only: each row of x and out is `parts` rows of `columns` beside each other (0: one), so that `rows` counts
  // parts; part i takes the weight at i · weightStride.
  size_t parts, weightStride;
  // gather and scatterAdd only.
  const int32_t *index;
  const float *factors;
} quern_rows;

// In place on x [tokens, heads · headDim]: the first 2 · pairs elements of each head are rotated by the angles of
// cosines and sines [position][pairs]. interleaved: pairs (0, 1), (2, 3) …; else (i, i + pairs).
typedef struct quern_rope {
  float *x;
  size_t xStride, tokens, heads, headDim, pairs;
  const float *cosines, *sines;
  size_t position;
  int interleaved;
  size_t rowsPerTask;     // shares: ceil(tokens / rowsPerTask)
  const int32_t *positions;  // [tokens], the row of each token; null: position + token
} quern_rope;

// What two rows of logits say about one token.
typedef struct quern_comparison {
  double referenceLogProbability, candidateLogProbability;  // of the target, natural logarithm
  double divergence;                                        // KL(reference ‖ candidate), nats
  size_t referenceTop, candidateTop;                        // first index of the largest logit
} quern_comparison;

typedef struct quern_math_table {
  size_t tile, int8Tile;        // tokens per group of an input of float and of int8 products
  quern_task *prepareFloats;    // quern_input; shares: ceil(tokens / tile)
  quern_task *prepareInt8;      // quern_input; columns a multiple of 32; shares: ceil(tokens / int8Tile)
  quern_task *multiply;         // quern_product
  quern_task *append;           // quern_append
  quern_task *attention;        // quern_attention
  quern_task *rmsNorm;          // quern_rows: out = x / sqrt(mean(x²) + epsilon) · weight (null: 1)
  quern_task *layerNorm;        // quern_rows: out = (x − mean) / sqrt(var + epsilon) · weight + bias (either null)
  quern_task *softmax;          // quern_rows: out = softmax(x · factor)
  quern_task *unary;            // quern_rows: out = unary(x)
  quern_task *gate;             // quern_rows: out = unary(x) · y
  quern_task *add;              // quern_rows: out = x + factor · y
  quern_task *multiplyRows;     // quern_rows: out = x · y
  quern_task *scale;            // quern_rows: out = x · factor
  quern_task *softcap;          // quern_rows: out = factor · tanh(x / factor)
  quern_task *addBias;          // quern_rows: out = x + bias
  quern_task *gather;           // quern_rows: out = x[index], row by row
  quern_task *scatterAdd;       // quern_rows: out[index] += factors · x, row by row; no index twice
  quern_task *rope;             // quern_rope
  void (*compare)(const float *reference, const float *candidate, size_t count, size_t target, quern_comparison *out);
  // Σ (scale · x)² of what is finite; scales NULL: Σ x².
  double (*squaredSum)(const float *x, const float *scales, size_t count);
  void (*exponentials)(const float *x, float *out, size_t count);  // for tests: e^x
} quern_math_table;

// cosines, sines [count][pairs] of the angles (firstPosition + i) · frequencies[j], each times `factor`. The angle is
// rounded to float as the reference implementations do. Same bits on every machine.
void quern_rope_table(const float *frequencies, size_t pairs, size_t firstPosition, size_t count, float factor,
                      float *cosines, float *sines);
