// The key–value cache and attention over it.
#pragma once
#include "half.inc.h"
#include "rows.inc.h"
#include "tiles_float.inc.h"

enum { keyChunk = 256, largestHeadDim = 512 };

typedef struct attention_scratch {
  float queries[QUERN_ATTENTION_ROWS * largestHeadDim];  // groups of up to TILE rows, [dim][row]
  float out[QUERN_ATTENTION_ROWS * largestHeadDim];      // [row][dim]
  float scores[TILE * keyChunk];                         // [row][key]
  float tile[TILE * 16];
  float keys[largestHeadDim * 16];                       // one panel of keys, converted
  float sums[QUERN_ATTENTION_ROWS * 16];                 // [row][lane]
  float most[QUERN_ATTENTION_ROWS];
} attention_scratch;
_Static_assert(sizeof(attention_scratch) <= QUERN_SCRATCH_BYTES, "the scratch area is too small");

INLINE size_t element_bytes(quern_cache_element element) { return element == QUERN_CACHE_F32 ? 4 : 2; }
INLINE size_t padded(size_t dim) { return (dim + 15) / 16 * 16; }
INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t most(size_t a, size_t b) { return a > b ? a : b; }

INLINE f32x16 cache_load(const void *base, size_t at, quern_cache_element element) {
  if (element == QUERN_CACHE_F32) return f32x16_load((const float *)base + at);
  return f32x16_from_half(u16x16_load((const uint16_t *)base + at));
}

static void append(const void *arguments, size_t index, void *scratch) {
  (void)scratch;
  const quern_append *p = arguments;
  const quern_cache *c = &p->cache;
  size_t head = index, valueStride = padded(c->valueDim);
  for (size_t t = 0; t < p->tokens; t++) {
    size_t position = p->position + t;
    const float *k = p->k + t * p->kStride + head * c->keyDim, *v = p->v + t * p->vStride + head * c->valueDim;
    size_t keysAt = (head * c->capacity + position / 16 * 16) * c->keyDim + position % 16;
    size_t valuesAt = (head * c->capacity + position) * valueStride;
    if (c->element == QUERN_CACHE_F32) {
      float *keys = (float *)c->keys + keysAt;
      for (size_t d = 0; d < c->keyDim; d++) keys[d * 16] = k[d];
      memcpy((float *)c->values + valuesAt, v, c->valueDim * sizeof *v);
    } else {
      uint16_t *keys = (uint16_t *)c->keys + keysAt, *values = (uint16_t *)c->values + valuesAt;
      for (size_t d = 0; d < c->keyDim; d += 16) {
        u16x16 h = half_from_f32x16(f32x16_load_upto(k + d, c->keyDim - d));
        for (size_t i = 0; i < 16 && d + i < c->keyDim; i++) keys[(d + i) * 16] = h[i];
      }
      for (size_t d = 0; d < c->valueDim; d += 16)
        u16x16_store(values + d, half_from_f32x16(f32x16_load_upto(v + d, c->valueDim - d)));
    }
  }
}

// Keys a query sees: lo ..< hi.
typedef struct key_range { size_t lo, hi; } key_range;
INLINE key_range visible(const quern_attention *p, size_t token) {
  size_t position = p->position + token;
  key_range r = {0, p->length};
  if (p->causal) r.hi = least(p->length, position + 1);
  if (p->window && position + 1 > p->window) r.lo = least(position + 1 - p->window, r.hi);
  return r;
}

// out[row][dim] = fma chain over keys lo ..< hi of scores[row][key] · values[key][dim], for `rows` rows at a time.
INLINE void values_tile_of(const quern_cache *c, size_t at, size_t lo, size_t hi, const float *scores, float *out,
                           size_t outStride, size_t rows) {
  size_t stride = padded(c->valueDim);
  for (size_t d = 0; d < stride; d += 16) {
    f32x16 f[TILE];
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) f[r] = f32x16_load(out + r * outStride + d);
    for (size_t j = lo; j < hi; j++) {
      f32x16 v = cache_load(c->values, at + j * stride + d, c->element);
#pragma clang loop unroll(full)
      for (size_t r = 0; r < rows; r++) f[r] = f32x16_fma(v, f32x16_splat(scores[r * keyChunk + j % keyChunk]), f[r]);
    }
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) f32x16_store(out + r * outStride + d, f[r]);
  }
}

static void values_tile(const quern_cache *c, size_t at, size_t lo, size_t hi, const float *scores, float *out,
                        size_t outStride, size_t rows) {
  if (lo >= hi) return;
  switch (rows) {
    case 1: values_tile_of(c, at, lo, hi, scores, out, outStride, 1); break;
    case 2: values_tile_of(c, at, lo, hi, scores, out, outStride, 2); break;
    case 3: values_tile_of(c, at, lo, hi, scores, out, outStride, 3); break;
    case 4: values_tile_of(c, at, lo, hi, scores, out, outStride, 4); break;
    case 5: values_tile_of(c, at, lo, hi, scores, out, outStride, 5); break;
    case 6: values_tile_of(c, at, lo, hi, scores, out, outStride, 6); break;
    default:  // wider tiles, in two halves
      values_tile_of(c, at, lo, hi, scores, out, outStride, 6);
      values_tile(c, at, lo, hi, scores + 6 * keyChunk, out + 6 * outStride, outStride, rows - 6);
  }
}

// scores[row][key] of the panels that hold keys from ..< to (within one chunk).
static void scores_tile(const quern_cache *c, size_t head, size_t from, size_t to, const float *queries, size_t rows,
                        attention_scratch *s) {
  for (size_t j = from / 16 * 16; j < to; j += 16) {
    size_t at = (head * c->capacity + j) * c->keyDim;
    const float *w = s->keys;
    if (c->element == QUERN_CACHE_F32) w = (const float *)c->keys + at;
    else
      for (size_t d = 0; d < c->keyDim; d++) f32x16_store(s->keys + d * 16, cache_load(c->keys, at + d * 16, c->element));
    float_tile(w, queries, c->keyDim, s->tile, rows, 1);
    for (size_t r = 0; r < rows; r++) f32x16_store(s->scores + r * keyChunk + j % keyChunk, f32x16_load(s->tile + r * 16));
  }
}

// Turns the scores of one row's visible keys lo ..< hi (within one chunk) into weights, carrying maximum and sum.
static void weigh_row(const quern_attention *p, size_t lo, size_t hi, float *scores, float *most, float *sums,
                      float *out, size_t outDim) {
  f32x16 best = f32x16_splat(-__builtin_inff());
  i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  int32_t below = (int32_t)(lo % keyChunk), above = (int32_t)(below + (hi - lo));
  for (int32_t j = below / 16 * 16; j < above; j += 16) {
    f32x16 v = f32x16_load(scores + j) * p->scale;
    if (p->softcap != 0) v = f32x16_tanh(v / p->softcap) * p->softcap;
    f32x16_store(scores + j, v);
    i32x16 seen = (lane + j >= below) & (lane + j < above);
    best = f32x16_max(f32x16_select(seen, v, best), best);
  }
  float now = f32x16_largest(best);
  if (now > *most) {
    f32x16 shrink = f32x16_exp(f32x16_splat(*most - now));
    f32x16_store(sums, f32x16_load(sums) * shrink);
    for (size_t d = 0; d < outDim; d += 16) f32x16_store(out + d, f32x16_load(out + d) * shrink);
    *most = now;
  }
  f32x16 sum = f32x16_load(sums);
  for (int32_t j = below / 16 * 16; j < above; j += 16) {
    i32x16 seen = (lane + j >= below) & (lane + j < above);
    f32x16 e = f32x16_select(seen, f32x16_exp(f32x16_load(scores + j) - *most), f32x16_splat(0));
    f32x16_store(scores + j, e);
    sum += e;
  }
  f32x16_store(sums, sum);
}

static void attend_chunk(const quern_attention *p, size_t head, size_t firstRow, size_t rows, size_t chunk,
                         size_t offset, attention_scratch *s) {
  const quern_cache *c = &p->cache;
  size_t group = p->heads / c->kvHeads, dim = padded(c->valueDim), end = chunk + keyChunk;
  key_range seen[TILE];
  size_t from = end, to = chunk, commonLo = chunk, commonHi = end;
  for (size_t r = 0; r < rows; r++) {
    key_range v = visible(p, (firstRow + r) / group);
    v.lo = most(v.lo, chunk), v.hi = least(v.hi, end);
    if (v.lo >= v.hi) v.lo = v.hi = 0;
    seen[r] = v;
    if (v.lo < v.hi) from = least(from, v.lo), to = most(to, v.hi);
    commonLo = most(commonLo, v.lo), commonHi = least(commonHi, v.hi);
  }
  if (from >= to) return;
  scores_tile(c, head, from, to, s->queries + offset * c->keyDim, rows, s);
  float *out = s->out + offset * dim;
  for (size_t r = 0; r < rows; r++)
    if (seen[r].lo < seen[r].hi)
      weigh_row(p, seen[r].lo, seen[r].hi, s->scores + r * keyChunk, s->most + offset + r, s->sums + (offset + r) * 16,
                out + r * dim, dim);
  // Keys that all rows see go together; a key some row may not see must not touch that row, not even times zero.
  size_t at = head * c->capacity * dim;
  if (commonLo >= commonHi) commonLo = commonHi = to;
  for (size_t r = 0; r < rows; r++)
    values_tile(c, at, seen[r].lo, least(seen[r].hi, commonLo), s->scores + r * keyChunk, out + r * dim, dim, 1);
  values_tile(c, at, commonLo, commonHi, s->scores, out, dim, rows);
  if (commonLo < commonHi)
    for (size_t r = 0; r < rows; r++)
      values_tile(c, at, commonHi, seen[r].hi, s->scores + r * keyChunk, out + r * dim, dim, 1);
}

static void attention(const void *arguments, size_t index, void *scratch) {
  const quern_attention *p = arguments;
  const quern_cache *c = &p->cache;
  attention_scratch *s = scratch;
  size_t group = p->heads / c->kvHeads, allRows = p->tokens * group, dim = padded(c->valueDim);
  size_t shares = (allRows + p->rowsPerTask - 1) / p->rowsPerTask, head = index / shares;
  size_t firstRow = index % shares * p->rowsPerTask, rows = least(p->rowsPerTask, allRows - firstRow);
  for (size_t r = 0; r < rows; r++) {
    size_t tile = r / TILE * TILE, width = least(TILE, rows - tile);
    const float *q = p->q + (firstRow + r) / group * p->qStride + (head * group + (firstRow + r) % group) * c->keyDim;
    float *to = s->queries + tile * c->keyDim + r - tile;
    for (size_t d = 0; d < c->keyDim; d++) to[d * width] = q[d];
    s->most[r] = -__builtin_inff();
  }
  memset(s->sums, 0, rows * 64);
  memset(s->out, 0, rows * dim * sizeof *s->out);
  size_t lo = visible(p, firstRow / group).lo, hi = visible(p, (firstRow + rows - 1) / group).hi;
  for (size_t chunk = lo / keyChunk * keyChunk; chunk < hi; chunk += keyChunk)
    for (size_t tile = 0; tile < rows; tile += TILE)
      attend_chunk(p, head, firstRow + tile, least(TILE, rows - tile), chunk, tile, s);
  for (size_t r = 0; r < rows; r++) {
    float sum = f32x16_sum(f32x16_load(s->sums + r * 16)), factor = sum != 0 ? 1.0f / sum : 0.0f;
    float *out = p->out + (firstRow + r) / group * p->outStride + (head * group + (firstRow + r) % group) * c->valueDim;
    for (size_t d = 0; d < c->valueDim; d += 16)
      f32x16_store_upto(out + d, f32x16_load(s->out + r * dim + d) * factor + 0.0f, c->valueDim - d);
  }
}
