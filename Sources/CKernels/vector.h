// Sixteen lanes, whatever the hardware's width: the vocabulary that all kernel bodies are written in.
//
// Clang splits the 64-byte vectors into two AVX2, four NEON or one AVX-512 register, and into calls of fmaf() where
// there is no fused multiply-add. The order of operations is fixed here, so every instruction set gives the same bits.
#pragma once
#include <stdint.h>
#include <string.h>

#pragma clang fp contract(off)
// Everything here is inlined, so how a 64-byte vector would be passed to a function never matters.
#pragma clang diagnostic ignored "-Wpsabi"

#define INLINE static inline __attribute__((always_inline))

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef int16_t i16x16 __attribute__((vector_size(32)));
typedef int16_t i16x32 __attribute__((vector_size(64)));  // two in each of sixteen lanes
typedef int32_t i32x32 __attribute__((vector_size(128)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef int8_t i8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef uint8_t u8x64 __attribute__((vector_size(64)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x8 __attribute__((vector_size(32)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef double f64x16 __attribute__((vector_size(128)));

INLINE f32x16 f32x16_load(const float *p) { f32x16 v; memcpy(&v, p, sizeof v); return v; }
INLINE void f32x16_store(float *p, f32x16 v) { memcpy(p, &v, sizeof v); }
INLINE i32x16 i32x16_load(const int32_t *p) { i32x16 v; memcpy(&v, p, sizeof v); return v; }
INLINE void i32x16_store(int32_t *p, i32x16 v) { memcpy(p, &v, sizeof v); }
INLINE u8x16 u8x16_load(const uint8_t *p) { u8x16 v; memcpy(&v, p, sizeof v); return v; }
INLINE void u8x16_store(uint8_t *p, u8x16 v) { memcpy(p, &v, sizeof v); }
INLINE f32x16 f32x16_splat(float x) { return (f32x16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }
INLINE i32x16 i32x16_splat(int32_t x) { return (i32x16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

// a * b + c with one rounding.
INLINE f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE f32x16 f32x16_select(i32x16 mask, f32x16 yes, f32x16 no) {
  return (f32x16)(((i32x16)yes & mask) | ((i32x16)no & ~mask));
}
// x > y ? x : y, so a NaN in x is dropped and one in y is kept: the same on every instruction set.
INLINE f32x16 f32x16_max(f32x16 x, f32x16 y) { return f32x16_select(x > y, x, y); }
INLINE f32x16 f32x16_min(f32x16 x, f32x16 y) { return f32x16_select(x < y, x, y); }
INLINE f32x16 f32x16_abs(f32x16 x) { return (f32x16)((i32x16)x & 0x7fffffff); }
// To nearest, ties to even, for |x| < 2^22: the magic number's ulp is one.
INLINE f32x16 f32x16_round(f32x16 x) {
  const f32x16 magic = f32x16_splat(12582912.0f);
  return (x + magic) - magic;
}
INLINE i32x16 i32x16_from_f32(f32x16 x) { return __builtin_convertvector(x, i32x16); }  // towards zero
INLINE f32x16 f32x16_from_i32(i32x16 x) { return __builtin_convertvector(x, f32x16); }
INLINE f32x16 f32x16_from_u8(u8x16 x) { return f32x16_from_i32(__builtin_convertvector(x, i32x16)); }
INLINE f32x16 f32x16_from_i8(u8x16 x) { return f32x16_from_i32(__builtin_convertvector((i8x16)x, i32x16)); }

// The fixed reduction tree: halves are folded, 16 → 8 → 4 → 2 → 1.
INLINE float f32x16_sum(f32x16 v) {
  f32x8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  f32x4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[2]) + (b[1] + b[3]);
}
INLINE int32_t i32x16_sum(i32x16 v) {
  i32x8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  i32x4 b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
  return (b[0] + b[2]) + (b[1] + b[3]);
}
// The same tree with f32x16_max at its nodes.
INLINE float f32x16_largest(f32x16 v) {
  f32x8 a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), b = __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  i32x8 m = a > b;
  a = (f32x8)(((i32x8)a & m) | ((i32x8)b & ~m));
  f32x4 c = __builtin_shufflevector(a, a, 0, 1, 2, 3), d = __builtin_shufflevector(a, a, 4, 5, 6, 7);
  i32x4 n = c > d;
  c = (f32x4)(((i32x4)c & n) | ((i32x4)d & ~n));
  float x = c[0] > c[2] ? c[0] : c[2], y = c[1] > c[3] ? c[1] : c[3];
  return x > y ? x : y;
}
INLINE f64x16 f64x16_from_f32(f32x16 x) { return __builtin_convertvector(x, f64x16); }
INLINE double f64x16_sum(f64x16 v) {
  double s = 0;
  for (int i = 0; i < 16; i++) s += v[i];
  return s;
}
