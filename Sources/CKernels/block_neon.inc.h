// Exact block sums with the dot-product instructions: sdot adds four products of signed bytes to each row's sum.
// Unsigned codes are at most 31, so they are signed bytes too.
#define INT8_TILE 4
#define INT8_RESIDENT 1
#define INT8_PREFETCH 0

INLINE void block_sums(const uint8_t *codes, const uint8_t *plane, const input_block *in, size_t tokens, code_kind kind,
                       int packed, i32x16 *sums) {
  typedef union { i32x16 all; int32x4_t part[4]; } rows;
  rows acc[INT8_TILE];
  int offset = kind == CODES_LESS_8 ? -8 : kind == CODES_LESS_16 ? -16 : 0;
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++)
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) acc[t].part[i] = vdupq_n_s32(offset * in->sums[t]);
#pragma clang loop unroll(full)
  for (size_t g = 0; g < 8; g++) {
    union { u8x64 all; int8x16_t part[4]; } w = {load_codes(codes, plane, g, kind, packed)};
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++) {
      int8x16_t a = vreinterpretq_s8_s32(vdupq_n_s32(in->words[g * tokens + t]));
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) acc[t].part[i] = vdotq_s32(acc[t].part[i], w.part[i], a);
    }
  }
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) sums[t] = acc[t].all;
}
