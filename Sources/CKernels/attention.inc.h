// Attention over the key–value cache.
#pragma once
#include "cache.inc.h"
#include "tiles_float.inc.h"

enum {
  keyChunk = 256,
  largestKeyDim = 576,    // multi-head latent attention: 512 and 64 rotary
  largestValueDim = 512,
  queryStride = largestKeyDim + 16,  // not a power of two: the rows of a tile would share cache sets
};

typedef struct attention_scratch {
  float queries[QUERN_ATTENTION_ROWS * queryStride];     // [row][dim], scaled
  float out[QUERN_ATTENTION_ROWS * largestValueDim];     // [row][dim]
  float scores[TILE * keyChunk];                         // [row][key]
  float keys[keyChunk * largestKeyDim];                  // a chunk's keys, converted
  float values[keyChunk * largestValueDim];              // a chunk's values, converted
  float sums[QUERN_ATTENTION_ROWS * 16];                 // [row][lane]
  float most[QUERN_ATTENTION_ROWS];
} attention_scratch;
_Static_assert(sizeof(attention_scratch) <= QUERN_SCRATCH_BYTES, "the scratch area is too small");

// Keys a query sees: lo ..< hi.
typedef struct key_range { size_t lo, hi; } key_range;
INLINE key_range visible(const quern_attention *p, size_t token) {
  size_t position = p->position + token;
  key_range r = {0, p->length};
  if (p->causal) r.hi = least(p->length, position + 1);
  if (p->window && position + 1 > p->window) r.lo = least(position + 1 - p->window, r.hi);
  return r;
}

// Keys and values of one head from the start of a chunk on: where they are, or copies as floats.
typedef struct chunk_view {
  const float *keys;     // [panel][dim][16]; null: each panel is expanded as it is read
  const uint8_t *values;  // [key][valueBytes]
  size_t valueBytes;
  quern_cache_element element;  // of the values
  size_t keyDim, valueStride;
} chunk_view;

// The keys from ..< to of a chunk are read. What is read once is converted as it is read.
static chunk_view view_chunk(const quern_cache *c, size_t head, size_t chunk, size_t from, size_t to, int once,
                             attention_scratch *s) {
  size_t stride = padded(c->valueDim);
  chunk_view v = {NULL, values_at(c, head, chunk), value_bytes(c), c->element, c->keyDim, stride};
  if (c->element == QUERN_CACHE_F32) v.keys = (const float *)keys_at(c, head, chunk);
  if (once || c->element == QUERN_CACHE_F32) return v;
  for (size_t j = from / 16 * 16; j < to; j += 16) unpack_keys(c, head, j, s->keys + (j - chunk) * c->keyDim);
  for (size_t j = from; j < to; j++) unpack_values(c, head, j, s->values + (j - chunk) * stride);
  v.keys = s->keys;
  v.values = (const uint8_t *)s->values, v.valueBytes = 4 * stride, v.element = QUERN_CACHE_F32;
  return v;
}

// out[row][dim] = fma chain over keys lo ..< hi (of the chunk) of scores[row][key] · values[key][dim].
INLINE void values_tile_of(const chunk_view *v, size_t lo, size_t hi, const float *scores, float *out, size_t rows,
                           quern_cache_element element) {
  size_t stride = v->valueStride;
  for (size_t d = 0; d < stride; d += 16) {
    f32x16 f[TILE];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) f[r] = f32x16_load(out + r * stride + d);
    for (size_t j = lo; j < hi; j++) {
      f32x16 x = value_load(v->values + j * v->valueBytes, d, element);
#pragma clang loop unroll(full)
      for (size_t r = 0; r < rows; r++) f[r] = f32x16_fma(x, f32x16_splat(scores[r * keyChunk + j]), f[r]);
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) f32x16_store(out + r * stride + d, f[r]);
  }
}

static void values_tile(const chunk_view *v, size_t lo, size_t hi, const float *scores, float *out, size_t rows) {
  if (lo >= hi) return;
#define TILE_CASE(R)                                                                       \
  case R:                                                                                  \
    switch (v->element) {                                                                  \
      case QUERN_CACHE_F32: values_tile_of(v, lo, hi, scores, out, R, QUERN_CACHE_F32); break; \
      case QUERN_CACHE_F16: values_tile_of(v, lo, hi, scores, out, R, QUERN_CACHE_F16); break; \
      case QUERN_CACHE_Q8_0: values_tile_of(v, lo, hi, scores, out, R, QUERN_CACHE_Q8_0); break; \
      case QUERN_CACHE_Q4_0: values_tile_of(v, lo, hi, scores, out, R, QUERN_CACHE_Q4_0); break; \
    }                                                                                      \
    break;
  switch (rows) {
    TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6)
#if defined(ISA_AVX512)
    TILE_CASE(7) TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12)
#endif
    default: break;
  }
#undef TILE_CASE
}

// scores[row][key] of one panel of 16 keys: fma chains over the dimensions.
INLINE void scores_tile_of(const float *keys, const float *queries, size_t dim, float *scores, size_t rows) {
  f32x16 f[TILE];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) f[r] = f32x16_splat(0);
  for (size_t d = 0; d < dim; d++) {
    f32x16 k = f32x16_load(keys + d * 16);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) f[r] = f32x16_fma(k, f32x16_splat(queries[r * queryStride + d]), f[r]);
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) f32x16_store(scores + r * keyChunk, f[r]);
}

static void scores_tile(const float *keys, const float *queries, size_t dim, float *scores, size_t rows) {
  switch (rows) {
#define TILE_CASE(R) case R: scores_tile_of(keys, queries, dim, scores, R); break;
    TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6)
#if defined(ISA_AVX512)
    TILE_CASE(7) TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12)
#endif
#undef TILE_CASE
    default: break;
  }
}

// Lanes of the panel at key j that are keys lo ..< hi.
INLINE i32x16 lanes_within(int32_t j, int32_t lo, int32_t hi) {
  i32x16 lane = (i32x16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + j;
  return (lane >= lo) & (lane < hi);
}

// Adds the bias of the keys lo ..< hi; none outside is read.
static void add_score_bias(const float *bias, int32_t lo, int32_t hi, float *scores) {
  int32_t j = lo;
  for (; j < hi && j % 16 != 0; j++) scores[j] += bias[j];
  for (; j + 16 <= hi; j += 16) f32x16_store(scores + j, f32x16_load(scores + j) + f32x16_load(bias + j));
  for (; j < hi; j++) scores[j] += bias[j];
}

// Turns the scores of one row's visible keys lo ..< hi (of the chunk) into weights, carrying maximum and sum. `bias`: of
// the chunk's first key, or null.
static void weigh_row(const quern_attention *p, size_t from, size_t to, const float *bias, float *scores, float *most,
                      float *sums, float *out, size_t outDim) {
  int32_t lo = (int32_t)from, hi = (int32_t)to;
  if (p->softcap != 0)
    for (int32_t j = lo / 16 * 16; j < hi; j += 16)
      f32x16_store(scores + j, f32x16_tanh(f32x16_load(scores + j) / p->softcap) * p->softcap);
  if (bias) add_score_bias(bias, lo, hi, scores);
  f32x16 best = f32x16_splat(-__builtin_inff());
  for (int32_t j = lo / 16 * 16; j < hi; j += 16) {
    f32x16 v = f32x16_load(scores + j);
    if (j < lo || j + 16 > hi) v = f32x16_select(lanes_within(j, lo, hi), v, best);
    best = f32x16_max(v, best);
  }
  float now = f32x16_largest(best);
  if (now > *most) {
    f32x16 shrink = f32x16_exp(f32x16_splat(*most - now));
    f32x16_store(sums, f32x16_load(sums) * shrink);
    for (size_t d = 0; d < outDim; d += 16) f32x16_store(out + d, f32x16_load(out + d) * shrink);
    *most = now;
  }
  f32x16 sum = f32x16_load(sums), highest = f32x16_splat(*most);
  for (int32_t j = lo / 16 * 16; j < hi; j += 16) {
    f32x16 e = f32x16_exp(f32x16_load(scores + j) - highest);
    if (j < lo || j + 16 > hi) e = f32x16_select(lanes_within(j, lo, hi), e, f32x16_splat(0));
    f32x16_store(scores + j, e);
    sum += e;
  }
  f32x16_store(sums, sum);
}

// Where the bias of row `row` of a key-value head starts, at the chunk's first key; null for none.
INLINE const float *bias_of(const quern_attention *p, size_t kvHead, size_t row, size_t chunk) {
  size_t group = p->heads / p->cache.kvHeads;
  if (!p->bias) return NULL;
  return p->bias + (ptrdiff_t)(kvHead * group + row % group) * p->biasHeadStride +
         (ptrdiff_t)(row / group) * p->biasTokenStride + (ptrdiff_t)chunk;
}

// Rows firstRow ..< firstRow + rows (one tile; `offset` is the first one's place in the scratch area) and one chunk.
static void attend_tile(const quern_attention *p, const chunk_view *v, size_t kvHead, size_t firstRow, size_t rows,
                        size_t chunk, size_t offset, attention_scratch *s) {
  size_t group = p->heads / p->cache.kvHeads, dim = v->valueStride;
  key_range seen[TILE];
  size_t from = keyChunk, to = 0, commonLo = 0, commonHi = keyChunk;
  for (size_t r = 0; r < rows; r++) {
    key_range k = visible(p, (firstRow + r) / group);
    k.lo = most(k.lo, chunk) - chunk, k.hi = most(least(k.hi, chunk + keyChunk), chunk) - chunk;
    if (k.lo >= k.hi) k.lo = k.hi = 0;
    seen[r] = k;
    if (k.lo < k.hi) from = least(from, k.lo), to = most(to, k.hi);
    commonLo = most(commonLo, k.lo), commonHi = least(commonHi, k.hi);
  }
  if (from >= to) return;
  for (size_t j = from / 16 * 16; j < to; j += 16) {
    const float *keys = v->keys ? v->keys + j * v->keyDim : s->keys;
    if (!v->keys) unpack_keys(&p->cache, kvHead, chunk + j, s->keys);
    scores_tile(keys, s->queries + offset * queryStride, v->keyDim, s->scores + j, rows);
  }
  float *out = s->out + offset * dim;
  for (size_t r = 0; r < rows; r++)
    if (seen[r].lo < seen[r].hi)
      weigh_row(p, seen[r].lo, seen[r].hi, bias_of(p, kvHead, firstRow + r, chunk), s->scores + r * keyChunk,
                s->most + offset + r, s->sums + (offset + r) * 16, out + r * dim, dim);
  // Keys that all rows see go together; a key some row may not see must not touch that row, not even times zero.
  if (commonLo >= commonHi) commonLo = commonHi = to;
  for (size_t r = 0; r < rows; r++)
    values_tile(v, seen[r].lo, least(seen[r].hi, commonLo), s->scores + r * keyChunk, out + r * dim, 1);
  values_tile(v, commonLo, commonHi, s->scores, out, rows);
  if (commonLo < commonHi)
    for (size_t r = 0; r < rows; r++)
      values_tile(v, commonHi, seen[r].hi, s->scores + r * keyChunk, out + r * dim, 1);
}

static void attention(const void *arguments, size_t index, void *scratch) {
  const quern_attention *p = arguments;
  const quern_cache *c = &p->cache;
  attention_scratch *s = scratch;
  size_t group = p->heads / c->kvHeads, allRows = p->tokens * group, dim = padded(c->valueDim);
  size_t shares = (allRows + p->rowsPerTask - 1) / p->rowsPerTask, head = index / shares;
  size_t firstRow = index % shares * p->rowsPerTask, rows = least(p->rowsPerTask, allRows - firstRow);
  for (size_t r = 0; r < rows; r++) {
    const float *q = p->q + (firstRow + r) / group * p->qStride + (head * group + (firstRow + r) % group) * c->keyDim;
    for (size_t d = 0; d < c->keyDim; d++) s->queries[r * queryStride + d] = q[d] * p->scale;
    s->most[r] = -__builtin_inff();
  }
  memset(s->sums, 0, rows * 64);
  memset(s->out, 0, rows * dim * sizeof *s->out);
  size_t lo = visible(p, firstRow / group).lo, hi = visible(p, (firstRow + rows - 1) / group).hi;
  for (size_t chunk = lo / keyChunk * keyChunk; chunk < hi; chunk += keyChunk) {
    chunk_view v = view_chunk(c, head, chunk, most(lo, chunk), least(hi, chunk + keyChunk), rows <= TILE, s);
    for (size_t tile = 0; tile < rows; tile += TILE)
      attend_tile(p, &v, head, firstRow + tile, least(TILE, rows - tile), chunk, tile, s);
  }
  for (size_t r = 0; r < rows; r++) {
    float sum = f32x16_sum(f32x16_load(s->sums + r * 16)), factor = sum != 0 ? 1.0f / sum : 0.0f;
    float *out = p->out + (firstRow + r) / group * p->outStride + (head * group + (firstRow + r) % group) * c->valueDim;
    for (size_t d = 0; d < c->valueDim; d += 16)
      f32x16_store_upto(out + d, f32x16_load(s->out + r * dim + d) * factor + 0.0f, c->valueDim - d);
  }
}
