// Halves and bfloats, sixteen at a time. A NaN keeps its sign and the top bits of its payload and becomes quiet, as
// the conversion instructions of x86-64 and arm64 do it; the generic forms below give the same bits.

INLINE f32x16 f32x16_from_f16_bits_generic(i32x16 h) {
  i32x16 magnitude = h & 0x7fff, bits = magnitude << 13;
  i32x16 normal = bits + 0x38000000;                                        // exponent bias 15 → 127
  i32x16 special = bits + 0x70000000;                                       // exponent 31 → 255
  special |= (magnitude > 0x7c00) & 0x400000;                               // quiet
  f32x16 tiny = f32x16_from_i32(magnitude) * f32x16_splat(0x1p-24f);        // subnormal: exact
  i32x16 isTiny = magnitude < 0x400, isSpecial = magnitude >= 0x7c00;
  bits = (normal & ~isTiny & ~isSpecial) | ((i32x16)tiny & isTiny) | (special & isSpecial);
  return (f32x16)(bits | ((h & 0x8000) << 16));
}

INLINE i32x16 f16_bits_from_f32x16_generic(f32x16 x) {
  i32x16 bits = (i32x16)x, sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  i32x16 normal = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  // The ulp of 0.5 is 2^-24, a subnormal half's step: adding it rounds to their grid.
  i32x16 tiny = (i32x16)((f32x16)magnitude + f32x16_splat(0.5f)) - 0x3f000000;
  i32x16 nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
  i32x16 isTiny = magnitude < 0x38800000, isHuge = magnitude >= 0x477ff000, isNan = magnitude > 0x7f800000;
  i32x16 h = (tiny & isTiny) | (normal & ~isTiny);
  h = (h & ~isHuge) | (0x7c00 & isHuge);
  h = (h & ~isNan) | (nan & isNan);
  return h | sign;
}

#if defined(ISA_AVX2) || defined(ISA_AVX512)
INLINE f32x16 f32x16_from_f16(u16x16 h) {
  __m128i half[2];
  memcpy(half, &h, sizeof half);
  __m256 out[2] = {_mm256_cvtph_ps(half[0]), _mm256_cvtph_ps(half[1])};
  f32x16 v;
  memcpy(&v, out, sizeof v);
  return v;
}
INLINE u16x16 f16_from_f32x16(f32x16 x) {
  __m256 in[2];
  memcpy(in, &x, sizeof in);
  __m128i half[2] = {_mm256_cvtps_ph(in[0], _MM_FROUND_TO_NEAREST_INT), _mm256_cvtps_ph(in[1], _MM_FROUND_TO_NEAREST_INT)};
  u16x16 h;
  memcpy(&h, half, sizeof h);
  return h;
}
INLINE float f32_from_f16(uint16_t h) { return _cvtsh_ss(h); }
#else
INLINE f32x16 f32x16_from_f16(u16x16 h) { return f32x16_from_f16_bits_generic(__builtin_convertvector(h, i32x16)); }
INLINE u16x16 f16_from_f32x16(f32x16 x) { return __builtin_convertvector(f16_bits_from_f32x16_generic(x), u16x16); }
INLINE float f32_from_f16(uint16_t h) {
  uint32_t magnitude = h & 0x7fff, bits = magnitude << 13;
  if (magnitude >= 0x7c00) {
    bits = (bits + 0x70000000) | (magnitude > 0x7c00 ? 0x400000 : 0);
  } else if (magnitude >= 0x400) {
    bits += 0x38000000;
  } else {
    float tiny = (float)magnitude * 0x1p-24f;
    memcpy(&bits, &tiny, 4);
  }
  bits |= (uint32_t)(h & 0x8000) << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
#endif

INLINE uint16_t load_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
INLINE uint32_t load_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }
INLINE u8x16 u8x16_load(const uint8_t *p) { u8x16 v; memcpy(&v, p, 16); return v; }
INLINE float load_f16(const uint8_t *p) { return f32_from_f16(load_u16(p)); }
INLINE f32x16 f32x16_from_u8(u8x16 v) { return f32x16_from_i32(__builtin_convertvector(v, i32x16)); }
