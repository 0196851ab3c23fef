// The K formats: 256 elements whose sub-blocks have small integer scales under one or two halves.
//
//   Q2_K   84 bytes  { u8 scales[16]; u8 codes[64]; f16 d, dmin }          16 × 16; scale: low nibble, minimum: high
//   Q3_K  110 bytes  { u8 high[32]; u8 codes[64]; u8 scales[12]; f16 d }   16 × 16; code − 4, or code where high is set
//   Q4_K  144 bytes  { f16 d, dmin; u8 scales[12]; u8 codes[128] }          8 × 32
//   Q5_K  176 bytes  { f16 d, dmin; u8 scales[12]; u8 fifth[32]; u8 codes[128] }
//   Q6_K  210 bytes  { u8 low[128]; u8 high[64]; i8 scales[16]; f16 d }    16 × 16; code − 32
//
// x = d · scale · code (− dmin · minimum). Below, row r is elements 16r … 16r + 15: half n = r / 8 of the block, group
// j = r / 2 % 4 of 32 in it, half h = r % 2 of that.

static void PASTE(decode_q2_k, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 84) {
    float d = load_f16(blocks + 80), dmin = load_f16(blocks + 82);
    for (int r = 0; r < 16; r++) {
      int n = r / 8, j = r / 2 % 4, h = r % 2;
      u8x16 codes = (u8x16_load(blocks + 16 + 32 * n + 16 * h) >> (uint8_t)(2 * j)) & 3;
      float scale = d * (float)(blocks[r] & 15), minimum = dmin * (float)(blocks[r] >> 4);
      f32x16_store(out + i + 16 * r, f32x16_from_u8(codes) * scale - minimum);
    }
  }
}

static void PASTE(decode_q3_k, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 110) {
    float d = load_f16(blocks + 108);
    const uint8_t *scales = blocks + 96;
    for (int r = 0; r < 16; r++) {
      int n = r / 8, j = r / 2 % 4, h = r % 2;
      u8x16 codes = (u8x16_load(blocks + 32 + 32 * n + 16 * h) >> (uint8_t)(2 * j)) & 3;
      u8x16 high = (u8x16_load(blocks + 16 * h) >> (uint8_t)(4 * n + j)) & 1;
      int low = r < 8 ? scales[r] & 15 : scales[r - 8] >> 4;
      int scale = low | ((scales[8 + r % 4] >> (2 * (r / 4))) & 3) << 4;
      i32x16 q = __builtin_convertvector(codes | high << 2, i32x16) - 4;
      f32x16_store(out + i + 16 * r, f32x16_from_i32(q) * (d * (float)(scale - 32)));
    }
  }
}

// The six-bit scale and minimum of sub-block j of eight, in twelve bytes.
INLINE void k_scale(const uint8_t *s, int j, int *scale, int *minimum) {
  if (j < 4) {
    *scale = s[j] & 63;
    *minimum = s[j + 4] & 63;
  } else {
    *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
    *minimum = s[j + 4] >> 4 | s[j] >> 6 << 4;
  }
}

static void PASTE(decode_q4_k, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 144) {
    float d = load_f16(blocks), dmin = load_f16(blocks + 2);
    for (int j = 0; j < 8; j++) {
      int scale, minimum;
      k_scale(blocks + 4, j, &scale, &minimum);
      float ds = d * (float)scale, dm = dmin * (float)minimum;
      for (int h = 0; h < 32; h += 16) {
        u8x16 codes = (u8x16_load(blocks + 16 + 32 * (j / 2) + h) >> (uint8_t)(4 * (j % 2))) & 15;
        f32x16_store(out + i + 32 * j + h, f32x16_from_u8(codes) * ds - dm);
      }
    }
  }
}

static void PASTE(decode_q5_k, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 176) {
    float d = load_f16(blocks), dmin = load_f16(blocks + 2);
    for (int j = 0; j < 8; j++) {
      int scale, minimum;
      k_scale(blocks + 4, j, &scale, &minimum);
      float ds = d * (float)scale, dm = dmin * (float)minimum;
      for (int h = 0; h < 32; h += 16) {
        u8x16 codes = (u8x16_load(blocks + 48 + 32 * (j / 2) + h) >> (uint8_t)(4 * (j % 2))) & 15;
        codes |= ((u8x16_load(blocks + 16 + h) >> (uint8_t)j) & 1) << 4;
        f32x16_store(out + i + 32 * j + h, f32x16_from_u8(codes) * ds - dm);
      }
    }
  }
}

static void PASTE(decode_q6_k, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 210) {
    float d = load_f16(blocks + 208);
    for (int r = 0; r < 16; r++) {
      int n = r / 8, j = r / 2 % 4, h = r % 2;
      u8x16 low = (u8x16_load(blocks + 64 * n + 32 * (j % 2) + 16 * h) >> (uint8_t)(4 * (j / 2))) & 15;
      u8x16 high = (u8x16_load(blocks + 128 + 32 * n + 16 * h) >> (uint8_t)(2 * j)) & 3;
      float scale = d * (float)(int8_t)blocks[192 + r];
      f32x16_store(out + i + 16 * r, (f32x16_from_u8(low | high << 4) - 32) * scale);
    }
  }
}
