// Half-precision and brain floats: sixteen at a time, to nearest even, a NaN made quiet with its payload kept.
#pragma once
#include "vector.h"

INLINE u16x16 u16x16_load(const void *p) { u16x16 v; memcpy(&v, p, sizeof v); return v; }
INLINE void u16x16_store(void *p, u16x16 v) { memcpy(p, &v, sizeof v); }
INLINE u16x16 u16x16_splat(uint16_t x) { return (u16x16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

INLINE f32x16 f32x16_from_half(u16x16 h) {
#if defined(ISA_AVX512)
  return (f32x16)_mm512_cvtph_ps((__m256i)h);
#elif defined(ISA_AVX2)
  union { f32x16 all; __m256 part[2]; } u;
  union { u16x16 all; __m128i part[2]; } in = {h};
  u.part[0] = _mm256_cvtph_ps(in.part[0]);
  u.part[1] = _mm256_cvtph_ps(in.part[1]);
  return u.all;
#elif defined(ISA_NEON)
  union { f32x16 all; float32x4_t part[4]; } u;
  union { u16x16 all; float16x4_t part[4]; } in = {h};
  for (int i = 0; i < 4; i++) u.part[i] = vcvt_f32_f16(in.part[i]);
  return u.all;
#else
  // Shifting the exponent and multiplying by 2^112 is exact for normals and subnormals alike.
  u32x16 w = __builtin_convertvector(h, u32x16);
  u32x16 sign = (w & 0x8000) << 16, rest = (w & 0x7fff) << 13;
  f32x16 scaled = (f32x16)rest * 0x1p112f;
  u32x16 special = (u32x16)((w & 0x7c00) == 0x7c00);
  u32x16 nan = (u32x16)((w & 0x7fff) > 0x7c00);
  u32x16 bits = ((u32x16)scaled & ~special) | ((rest | 0x7f800000) & special) | (nan & 0x00400000);
  return (f32x16)(bits | sign);
#endif
}

INLINE u16x16 half_from_f32x16(f32x16 x) {
#if defined(ISA_AVX512)
  return (u16x16)_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(ISA_AVX2)
  union { f32x16 all; __m256 part[2]; } in = {x};
  union { u16x16 all; __m128i part[2]; } u;
  u.part[0] = _mm256_cvtps_ph(in.part[0], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  u.part[1] = _mm256_cvtps_ph(in.part[1], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return u.all;
#elif defined(ISA_NEON)
  union { f32x16 all; float32x4_t part[4]; } in = {x};
  union { u16x16 all; float16x4_t part[4]; } u;
  for (int i = 0; i < 4; i++) u.part[i] = vcvt_f16_f32(in.part[i]);
  return u.all;
#else
  u32x16 b = (u32x16)x, sign = (b >> 16) & 0x8000, a = b & 0x7fffffff;
  // Normal results: round the 13 dropped bits half to even; a carry into the exponent is right as it is.
  u32x16 normal = ((a - 0x38000000) + 0xfff + ((a >> 13) & 1)) >> 13;
  // Subnormal results: adding 0.5 puts the wanted bits last in the sum, rounded by the adder.
  u32x16 subnormal = (u32x16)((f32x16)a + 0.5f) - 0x3f000000;
  u32x16 isSubnormal = (u32x16)(a < 0x38800000), isNaN = (u32x16)(a > 0x7f800000);
  u32x16 isInfinite = (u32x16)(a >= 0x477ff000) & ~isNaN;
  u32x16 h = (subnormal & isSubnormal) | (normal & ~isSubnormal & ~isInfinite & ~isNaN);
  h |= isInfinite & 0x7c00;
  h |= isNaN & (0x7e00 | ((a >> 13) & 0x3ff));
  return __builtin_convertvector(h | sign, u16x16);
#endif
}

INLINE f32x16 f32x16_from_brain(u16x16 h) { return (f32x16)(__builtin_convertvector(h, u32x16) << 16); }
