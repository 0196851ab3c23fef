// Exact block sums with AVX-512 VNNI: vpdpbusd adds four products of unsigned by signed bytes to each row's sum.
#define INT8_TILE 12
#define INT8_RESIDENT 12
#define INT8_PREFETCH 0

INLINE void block_sums(const uint8_t *codes, const uint8_t *plane, const input_block *in, size_t tokens, code_kind kind,
                       int packed, i32x16 *sums) {
  __m512i acc[INT8_TILE];
  // Signed codes are made unsigned by adding 128. What is too much is taken off at the start.
  int offset = kind == CODES_SIGNED ? -128 : kind == CODES_LESS_8 ? -8 : kind == CODES_LESS_16 ? -16 : 0;
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) acc[t] = _mm512_set1_epi32(offset * in->sums[t]);
#pragma clang loop unroll(full)
  for (size_t g = 0; g < 8; g++) {
    u8x64 w = load_codes(codes, plane, g, kind, packed);
    if (kind == CODES_SIGNED) w ^= 0x80;
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++)
      acc[t] = _mm512_dpbusd_epi32(acc[t], (__m512i)w, _mm512_set1_epi32(in->words[g * tokens + t]));
  }
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) sums[t] = (i32x16)acc[t];
}
