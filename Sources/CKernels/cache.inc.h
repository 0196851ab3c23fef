// The key–value cache: how keys and values are stored, and read again as floats.
#pragma once
#include "half.inc.h"
#include "rows.inc.h"

// Blocks of 32 elements of a row, each d · code: what Q8_0 and Q4_0 are in GGUF. Values are rows of such blocks; of the
// keys, sixteen positions share one: { f16 d[16]; i8 codes[32][16] }, or u8 nibbles[16][16] with element i low and
// i + 16 high, so that every position has bytes of its own.
enum { cacheBlock = 32 };

INLINE size_t least(size_t a, size_t b) { return a < b ? a : b; }
INLINE size_t most(size_t a, size_t b) { return a > b ? a : b; }
INLINE size_t padded(size_t dim) { return (dim + 15) / 16 * 16; }
INLINE int is_packed(quern_cache_element element) { return element >= QUERN_CACHE_Q8_0; }
INLINE size_t blocks_of(size_t dim) { return (dim + cacheBlock - 1) / cacheBlock; }
INLINE size_t block_bytes(quern_cache_element element) { return element == QUERN_CACHE_Q8_0 ? 34 : 18; }
INLINE size_t element_bytes(quern_cache_element element) { return element == QUERN_CACHE_F32 ? 4 : 2; }

// Bytes of one position of one head; those of a panel of keys are sixteen times as many.
INLINE size_t key_bytes(const quern_cache *c) {
  return is_packed(c->element) ? blocks_of(c->keyDim) * block_bytes(c->element) : c->keyDim * element_bytes(c->element);
}
INLINE size_t value_bytes(const quern_cache *c) {
  return is_packed(c->element) ? blocks_of(c->valueDim) * block_bytes(c->element)
                               : padded(c->valueDim) * element_bytes(c->element);
}
// The panel that `position` lies in, and the row of its values.
INLINE uint8_t *keys_at(const quern_cache *c, size_t head, size_t position) {
  return (uint8_t *)c->keys + (head * c->capacity + position / 16 * 16) * key_bytes(c);
}
INLINE uint8_t *values_at(const quern_cache *c, size_t head, size_t position) {
  return (uint8_t *)c->values + (head * c->capacity + position) * value_bytes(c);
}

// MARK: writing

typedef struct packed_block {
  uint16_t scale;
  uint8_t codes[32];  // Q4_0: the first 16, nibbles
} packed_block;

// Up to 32 floats, rounded as ggml's own caches are: the largest element sets the scale, and nothing is searched. Q4_0
// puts the extreme at −8 (of two that are equally large, the negative one). A block with a number that is none, or
// infinite, is NaN as a whole.
INLINE packed_block pack_block(const float *x, size_t n, quern_cache_element element) {
  f32x16 a = f32x16_load_upto(x, n), b = n > 16 ? f32x16_load_upto(x + 16, n - 16) : f32x16_splat(0);
  float top = f32x16_largest(f32x16_max(a, b)), bottom = -f32x16_largest(f32x16_max(-a, -b)), d;
  if (element == QUERN_CACHE_Q8_0) d = (top > -bottom ? top : -bottom) / 127;
  else d = (top > -bottom ? top : bottom) / -8;
  packed_block block;
  block.scale = half_from_f32x16(f32x16_splat(d))[0];
  if (f32x16_sum(a * 0 + b * 0) != 0) block.scale = 0x7e00;
  // No scale, no codes: the reciprocal of a smaller one could be infinite.
  f32x16 inverse = f32x16_splat((block.scale & 0x7fff) == 0 ? 0 : 1 / d);
  if (element == QUERN_CACHE_Q8_0) {
    const f32x16 low = f32x16_splat(-127), high = f32x16_splat(127);
    a = f32x16_min(f32x16_max(f32x16_round(a * inverse), low), high);
    b = f32x16_min(f32x16_max(f32x16_round(b * inverse), low), high);
    u8x16_store(block.codes, (u8x16)__builtin_convertvector(i32x16_from_f32(a), i8x16));
    u8x16_store(block.codes + 16, (u8x16)__builtin_convertvector(i32x16_from_f32(b), i8x16));
  } else {
    const f32x16 low = f32x16_splat(0), high = f32x16_splat(15);
    a = f32x16_min(f32x16_max(a * inverse + 8.5f, low), high);
    b = f32x16_min(f32x16_max(b * inverse + 8.5f, low), high);
    i32x16 nibbles = i32x16_from_f32(a) | i32x16_from_f32(b) << 4;
    u8x16_store(block.codes, __builtin_convertvector(nibbles, u8x16));
  }
  return block;
}

static void append_packed(const quern_append *p, size_t head, quern_cache_element element) {
  const quern_cache *c = &p->cache;
  size_t bytes = block_bytes(element), codeBytes = bytes - 2;
  for (size_t t = 0; t < p->tokens; t++) {
    size_t position = p->position + t, lane = position % 16;
    const float *k = p->k + t * p->kStride + head * c->keyDim, *v = p->v + t * p->vStride + head * c->valueDim;
    uint8_t *panel = keys_at(c, head, position), *row = values_at(c, head, position);
    for (size_t d = 0; d < c->keyDim; d += cacheBlock, panel += 16 * bytes) {
      packed_block block = pack_block(k + d, least(cacheBlock, c->keyDim - d), element);
      memcpy(panel + 2 * lane, &block.scale, 2);
      for (size_t i = 0; i < codeBytes; i++) panel[32 + 16 * i + lane] = block.codes[i];
    }
    for (size_t d = 0; d < c->valueDim; d += cacheBlock, row += bytes) {
      packed_block block = pack_block(v + d, least(cacheBlock, c->valueDim - d), element);
      memcpy(row, &block.scale, 2);
      memcpy(row + 2, block.codes, codeBytes);
    }
  }
}

static void append(const void *arguments, size_t index, void *scratch) {
  (void)scratch;
  const quern_append *p = arguments;
  const quern_cache *c = &p->cache;
  size_t head = index;
  if (c->element == QUERN_CACHE_Q8_0) return append_packed(p, head, QUERN_CACHE_Q8_0);
  if (c->element == QUERN_CACHE_Q4_0) return append_packed(p, head, QUERN_CACHE_Q4_0);
  for (size_t t = 0; t < p->tokens; t++) {
    size_t position = p->position + t, lane = position % 16;
    const float *k = p->k + t * p->kStride + head * c->keyDim, *v = p->v + t * p->vStride + head * c->valueDim;
    if (c->element == QUERN_CACHE_F32) {
      float *keys = (float *)keys_at(c, head, position) + lane;
      for (size_t d = 0; d < c->keyDim; d++) keys[d * 16] = k[d];
      memcpy(values_at(c, head, position), v, c->valueDim * sizeof *v);
    } else {
      uint16_t *keys = (uint16_t *)keys_at(c, head, position) + lane;
      uint16_t *values = (uint16_t *)values_at(c, head, position);
      for (size_t d = 0; d < c->keyDim; d += 16) {
        u16x16 h = half_from_f32x16(f32x16_load_upto(k + d, c->keyDim - d));
        for (size_t i = 0; i < 16 && d + i < c->keyDim; i++) keys[(d + i) * 16] = h[i];
      }
      for (size_t d = 0; d < c->valueDim; d += 16)
        u16x16_store(values + d, half_from_f32x16(f32x16_load_upto(v + d, c->valueDim - d)));
    }
  }
}

// MARK: reading

// Elements i ..< i + 16 of a row of values; i is a multiple of 16.
INLINE f32x16 value_load(const uint8_t *row, size_t i, quern_cache_element element) {
  if (element == QUERN_CACHE_F32) return f32x16_load((const float *)row + i);
  if (element == QUERN_CACHE_F16) return f32x16_from_half(u16x16_load((const uint16_t *)row + i));
  const uint8_t *block = row + i / cacheBlock * block_bytes(element);
  uint16_t scale;
  memcpy(&scale, block, 2);
  f32x16 d = f32x16_from_half(u16x16_splat(scale));
  if (element == QUERN_CACHE_Q8_0) return f32x16_from_i8(u8x16_load(block + 2 + i % cacheBlock)) * d;
  u8x16 nibbles = u8x16_load(block + 2);
  return (f32x16_from_u8(i % cacheBlock ? nibbles >> 4 : nibbles & 15) - 8) * d;
}

// out[dim][16] = a panel of keys.
INLINE void unpack_keys_of(const uint8_t *panel, size_t dim, float *out, quern_cache_element element) {
  if (!is_packed(element)) {
    for (size_t d = 0; d < dim; d++) f32x16_store(out + d * 16, value_load(panel, d * 16, element));
    return;
  }
  for (size_t at = 0; at < dim; at += cacheBlock, out += cacheBlock * 16, panel += 16 * block_bytes(element)) {
    size_t n = least(dim - at, cacheBlock);
    f32x16 d = f32x16_from_half(u16x16_load(panel));
    const uint8_t *codes = panel + 32;
    if (element == QUERN_CACHE_Q8_0) {
      for (size_t i = 0; i < n; i++) f32x16_store(out + i * 16, f32x16_from_i8(u8x16_load(codes + i * 16)) * d);
    } else {
      for (size_t i = 0; i < least(n, 16); i++) {
        u8x16 nibbles = u8x16_load(codes + i * 16);
        f32x16_store(out + i * 16, (f32x16_from_u8(nibbles & 15) - 8) * d);
        if (i + 16 < n) f32x16_store(out + (i + 16) * 16, (f32x16_from_u8(nibbles >> 4) - 8) * d);
      }
    }
  }
}
static void unpack_keys(const quern_cache *c, size_t head, size_t position, float *out) {
  const uint8_t *panel = keys_at(c, head, position);
  switch (c->element) {
    case QUERN_CACHE_F32: return unpack_keys_of(panel, c->keyDim, out, QUERN_CACHE_F32);
    case QUERN_CACHE_F16: return unpack_keys_of(panel, c->keyDim, out, QUERN_CACHE_F16);
    case QUERN_CACHE_Q8_0: return unpack_keys_of(panel, c->keyDim, out, QUERN_CACHE_Q8_0);
    case QUERN_CACHE_Q4_0: return unpack_keys_of(panel, c->keyDim, out, QUERN_CACHE_Q4_0);
  }
}

// out[0 ..< stride] = a row of values.
INLINE void unpack_values_of(const uint8_t *row, size_t stride, float *out, quern_cache_element element) {
  for (size_t i = 0; i < stride; i += 16) f32x16_store(out + i, value_load(row, i, element));
}
static void unpack_values(const quern_cache *c, size_t head, size_t position, float *out) {
  const uint8_t *row = values_at(c, head, position);
  size_t stride = padded(c->valueDim);
  switch (c->element) {
    case QUERN_CACHE_F32: return unpack_values_of(row, stride, out, QUERN_CACHE_F32);
    case QUERN_CACHE_F16: return unpack_values_of(row, stride, out, QUERN_CACHE_F16);
    case QUERN_CACHE_Q8_0: return unpack_values_of(row, stride, out, QUERN_CACHE_Q8_0);
    case QUERN_CACHE_Q4_0: return unpack_values_of(row, stride, out, QUERN_CACHE_Q4_0);
  }
}
