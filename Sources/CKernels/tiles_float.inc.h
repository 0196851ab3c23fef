// The float tile: 16 rows by up to TILE tokens, all sums in registers.
#pragma once
#include "half.inc.h"

#if defined(ISA_AVX512)
enum { TILE = 12 };
#else
enum { TILE = 6 };
#endif

// sums[t][r] = fma chain over k of w[k][r] · a[k][t], from 0 where `first`, else from what is there.
INLINE void float_tile_of(const float *w, const float *a, size_t n, float *sums, size_t tokens, int first) {
  f32x16 f[TILE];
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) f[t] = first ? f32x16_splat(0) : f32x16_load(sums + t * 16);
  for (size_t k = 0; k < n; k++, w += 16, a += tokens) {
    f32x16 v = f32x16_load(w);
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++) f[t] = f32x16_fma(v, f32x16_splat(a[t]), f[t]);
  }
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) f32x16_store(sums + t * 16, f[t]);
}

static void float_tile(const float *w, const float *a, size_t n, float *sums, size_t tokens, int first) {
  switch (tokens) {
#define TILE_CASE(T) case T: float_tile_of(w, a, n, sums, T, first); break;
    TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4) TILE_CASE(5) TILE_CASE(6)
#if defined(ISA_AVX512)
    TILE_CASE(7) TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12)
#endif
#undef TILE_CASE
    default: break;
  }
}

INLINE f32x16 weights_load(const uint8_t *panel, size_t k, quern_weights weights) {
  if (weights == QUERN_WEIGHTS_F32) return f32x16_load((const float *)panel + k * 16);
  u16x16 v = u16x16_load(panel + k * 32);
  return weights == QUERN_WEIGHTS_F16 ? f32x16_from_half(v) : f32x16_from_brain(v);
}

// One token and several panels at once, read straight from memory: one chain alone would wait for itself.
INLINE void float_vector_of(const uint8_t *panel, size_t panelBytes, const float *a, size_t n, float *sums,
                            size_t panels, quern_weights weights) {
  f32x16 f[4];
#pragma clang loop unroll(full)
  for (size_t p = 0; p < panels; p++) f[p] = f32x16_splat(0);
  for (size_t k = 0; k < n; k++)
#pragma clang loop unroll(full)
    for (size_t p = 0; p < panels; p++)
      f[p] = f32x16_fma(weights_load(panel + p * panelBytes, k, weights), f32x16_splat(a[k]), f[p]);
#pragma clang loop unroll(full)
  for (size_t p = 0; p < panels; p++) f32x16_store(sums + p * 16, f[p]);
}

static void float_vector(const uint8_t *panel, size_t panelBytes, const float *a, size_t n, float *sums, size_t panels,
                         quern_weights weights) {
#define VECTOR_CASES(W)                                                                         \
  if (panels == 2) float_vector_of(panel, panelBytes, a, n, sums, 2, W);                        \
  else float_vector_of(panel, panelBytes, a, n, sums, 1, W)
  if (weights == QUERN_WEIGHTS_F32) { VECTOR_CASES(QUERN_WEIGHTS_F32); }
  else if (weights == QUERN_WEIGHTS_F16) { VECTOR_CASES(QUERN_WEIGHTS_F16); }
  else { VECTOR_CASES(QUERN_WEIGHTS_BF16); }
#undef VECTOR_CASES
}
