// Exact block sums in plain vector C: the twin that defines the answer.
#define INT8_TILE 4

INLINE void block_sums(const uint8_t *codes, const uint8_t *plane, const input_block *in, size_t tokens,
                       code_kind kind, int packed, i32x16 *sums) {
  uint8_t bytes[512];
  if (packed && kind != CODES_SIGNED) {
    unpack_block(codes, plane, kind, bytes);
    codes = bytes;
  }
  for (size_t t = 0; t < tokens; t++) {
    i32x16 sum = i32x16_splat(kind == CODES_LESS_8 ? -8 * in->sums[t] : kind == CODES_LESS_16 ? -16 * in->sums[t] : 0);
    for (size_t g = 0; g < 8; g++) {
      i32x16 w = i32x16_load((const int32_t *)(codes + g * 64));
      uint32_t a = (uint32_t)in->words[g * tokens + t];
      sum += ((i32x16)((u32x16)w << 24) >> 24) * (int32_t)(int8_t)a;
      sum += ((i32x16)((u32x16)w << 16) >> 24) * (int32_t)(int8_t)(a >> 8);
      sum += ((i32x16)((u32x16)w << 8) >> 24) * (int32_t)(int8_t)(a >> 16);
      sum += (w >> 24) * (int32_t)(int8_t)(a >> 24);
    }
    sums[t] = sum;
  }
}
