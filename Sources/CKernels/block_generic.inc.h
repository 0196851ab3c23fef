// Exact block sums in plain vector C: the twin that defines the answer.
#define INT8_TILE 4
#define INT8_RESIDENT 1
#define INT8_PREFETCH 0

INLINE void block_sums(const uint8_t *codes, const uint8_t *plane, const input_block *in, size_t tokens, code_kind kind,
                       int packed, i32x16 *sums) {
  int offset = kind == CODES_LESS_8 ? -8 : kind == CODES_LESS_16 ? -16 : 0;
  for (size_t t = 0; t < tokens; t++) sums[t] = i32x16_splat(offset * in->sums[t]);
  for (size_t g = 0; g < 8; g++) {
    i32x16 w = (i32x16)load_codes(codes, plane, g, kind, packed);
    i32x16 w0 = (i32x16)((u32x16)w << 24) >> 24, w1 = (i32x16)((u32x16)w << 16) >> 24;
    i32x16 w2 = (i32x16)((u32x16)w << 8) >> 24, w3 = w >> 24;
    for (size_t t = 0; t < tokens; t++) {
      uint32_t a = (uint32_t)in->words[g * tokens + t];
      sums[t] += w0 * (int32_t)(int8_t)a + w1 * (int32_t)(int8_t)(a >> 8) + w2 * (int32_t)(int8_t)(a >> 16) +
                 w3 * (int32_t)(int8_t)(a >> 24);
    }
  }
}
