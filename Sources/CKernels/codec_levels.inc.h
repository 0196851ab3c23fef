// Formats whose four-bit codes index a table of levels; x = scale · level.
//
//   IQ4_NL   18 bytes  { f16 d; u8 nibbles[16] }                                          32 elements, as Q4_0
//   IQ4_XS  136 bytes  { f16 d; u16 scalesHigh; u8 scalesLow[4]; u8 nibbles[8][16] }      8 × 32; scale − 32, six bits
//   MXFP4    17 bytes  { u8 exponent; u8 nibbles[16] }                                    32 elements
//   NVFP4    36 bytes  { u8 scales[4]; u8 nibbles[4][8] }                                 4 × 16; low: j, high: j + 8
//
// MXFP4's scale is a power of two (E8M0), NVFP4's an unsigned E4M3; the levels are twice E2M1, the scales half.

static const float PASTE(levels_iq4, ISA)[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const float PASTE(levels_fp4, ISA)[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// levels[codes]; the levels are whole numbers.
INLINE f32x16 levels_at(const float *levels, u8x16 codes) {
#if defined(ISA_AVX2) || defined(ISA_AVX512)
  i8x16 table;
  for (int i = 0; i < 16; i++) table[i] = (int8_t)levels[i];
  return f32x16_from_i32(__builtin_convertvector((i8x16)_mm_shuffle_epi8((__m128i)table, (__m128i)codes), i32x16));
#else
  f32x16 v;
  for (int i = 0; i < 16; i++) v[i] = levels[codes[i] & 15];
  return v;
#endif
}

INLINE void decode_levels32(const float *levels, const uint8_t *nibbles, float scale, float *out) {
  u8x16 packed = u8x16_load(nibbles);
  f32x16_store(out, levels_at(levels, packed & 15) * scale);
  f32x16_store(out + 16, levels_at(levels, packed >> 4) * scale);
}

static void PASTE(decode_iq4_nl, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 18)
    decode_levels32(PASTE(levels_iq4, ISA), blocks + 2, load_f16(blocks), out + i);
}

static void PASTE(decode_iq4_xs, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 136) {
    float d = load_f16(blocks);
    int high = load_u16(blocks + 2);
    for (int j = 0; j < 8; j++) {
      int scale = ((blocks[4 + j / 2] >> (4 * (j % 2))) & 15) | ((high >> (2 * j)) & 3) << 4;
      decode_levels32(PASTE(levels_iq4, ISA), blocks + 8 + 16 * j, d * (float)(scale - 32), out + i + 32 * j);
    }
  }
}

// 2^(exponent − 128), half of an E8M0 scale; the two smallest are subnormal.
INLINE float mxfp4_scale(uint8_t exponent) {
  uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (uint32_t)(exponent - 1) << 23;
  float scale;
  memcpy(&scale, &bits, 4);
  return scale;
}

static void PASTE(decode_mxfp4, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 17)
    decode_levels32(PASTE(levels_fp4, ISA), blocks + 1, mxfp4_scale(blocks[0]), out + i);
}

// Half of an E4M3 scale without a sign; ggml reads its NaN as zero and ignores the top bit.
INLINE float nvfp4_scale(uint8_t byte) {
  return byte == 0x7f ? 0 : f32_from_f16((uint16_t)((byte & 0x7f) << 7)) * 128;
}

static void PASTE(decode_nvfp4, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 64, blocks += 36)
    for (int s = 0; s < 4; s++) {
      u8x16 packed = {0};
      memcpy(&packed, blocks + 4 + 8 * s, 8);
      u8x16 codes = __builtin_shufflevector(packed & 15, packed >> 4, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
      f32x16_store(out + i + 16 * s, levels_at(PASTE(levels_fp4, ISA), codes) * nvfp4_scale(blocks[s]));
    }
}
