// The IQ formats: groups of eight (or four and four) elements are points of a lattice (ckernels_grids.h), with signs
// beside them; x = scale · ±level, for IQ1 scale · (level ± 1/8). 256 elements.
//
//   IQ2_XXS  66 bytes  { f16 d; 8 × { u8 point[4]; u32: 4 × 7 bits of signs, 4 bits of scale } }
//   IQ2_XS   74 bytes  { f16 d; u16[32]: 9 bits of point, 7 of signs; u8 scales[8] }
//   IQ2_S    82 bytes  { f16 d; u8 point[32]; u8 signs[32]; u8 pointHigh[8]; u8 scales[8] }
//   IQ3_XXS  98 bytes  { f16 d; u8 point[64]; u32[8]: 4 × 7 bits of signs, 4 bits of scale }
//   IQ3_S   110 bytes  { f16 d; u8 point[64]; u8 pointHigh[8]; u8 signs[32]; u8 scales[4] }
//   IQ1_S    50 bytes  { f16 d; u8 point[32]; u16[8]: 4 × 3 bits of point, 3 of scale, 1 of sign of the 1/8 }
//   IQ1_M    56 bytes  { u8 point[32]; u8 pointHigh[16]; u16[4]: 4 × 3 bits of scale, 4 bits of d }

// Bits 2i (3i) of the first code to lanes 0 … 7 (0 … 3), of the second to the next.
INLINE i32x16 grid_levels8(uint16_t first, uint16_t second) {
  const u32x16 shift = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
  u32x16 codes = (u32x16)i32x16_splat((int32_t)(first | (uint32_t)second << 16));
  return (i32x16)((codes >> shift) & 3);
}
INLINE i32x16 grid_levels4(const uint16_t codes[4]) {
  const u32x16 shift = {0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9, 0, 3, 6, 9};
  int32_t a = codes[0], b = codes[1], c = codes[2], d = codes[3];
  i32x16 all = {a, a, a, a, b, b, b, b, c, c, c, c, d, d, d, d};
  return (i32x16)(((u32x16)all >> shift) & 7);
}

// Seven bits of signs; the eighth makes their number even.
INLINE uint32_t grid_signs7(uint32_t bits) { return (bits & 127) | (uint32_t)__builtin_parity(bits & 127) << 7; }

// ± by sixteen bits, then scaled.
INLINE void grid_store(float *out, i32x16 levels, uint32_t signs, float scale) {
  f32x16 x = f32x16_from_i32(levels) * scale;
  i32x16 isMinus = fifth_bits(signs, 0) != 0;
  f32x16_store(out, (f32x16)((i32x16)x ^ (isMinus & INT32_MIN)));
}

// 0, 1, 2 → 8, 25, 43
INLINE i32x16 iq2_values(i32x16 level) { return 8 + 17 * level + (level >> 1); }
// 0 … 7 → 4, 12, 20, 28, 36, 44, 52, 62
INLINE i32x16 iq3_xxs_values(i32x16 level) { return 4 + 8 * level - ((level == 7) * 2); }

static void PASTE(decode_iq2_xxs, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 66) {
    float d = load_f16(blocks);
    for (int j = 0; j < 8; j++) {
      const uint8_t *point = blocks + 2 + 8 * j;
      uint32_t rest = load_u32(point + 4);
      float scale = d * (0.5f + (float)(rest >> 28)) * 0.25f;
      for (int l = 0; l < 4; l += 2) {
        i32x16 levels = grid_levels8(quern_grid_iq2_xxs[point[l]], quern_grid_iq2_xxs[point[l + 1]]);
        uint32_t signs = grid_signs7(rest >> (7 * l)) | grid_signs7(rest >> (7 * l + 7)) << 8;
        grid_store(out + i + 32 * j + 8 * l, iq2_values(levels), signs, scale);
      }
    }
  }
}

static void PASTE(decode_iq2_xs, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 74) {
    float d = load_f16(blocks);
    for (int r = 0; r < 16; r++) {
      uint32_t a = load_u16(blocks + 2 + 4 * r), b = load_u16(blocks + 4 + 4 * r);
      float scale = d * (0.5f + (float)((blocks[66 + r / 2] >> (4 * (r % 2))) & 15)) * 0.25f;
      i32x16 levels = grid_levels8(quern_grid_iq2_xs[a & 511], quern_grid_iq2_xs[b & 511]);
      grid_store(out + i + 16 * r, iq2_values(levels), grid_signs7(a >> 9) | grid_signs7(b >> 9) << 8, scale);
    }
  }
}

static void PASTE(decode_iq2_s, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 82) {
    float d = load_f16(blocks);
    for (int r = 0; r < 16; r++) {
      uint32_t high = (uint32_t)blocks[66 + r / 2] >> (4 * (r % 2));
      uint32_t a = blocks[2 + 2 * r] | (high & 3) << 8, b = blocks[3 + 2 * r] | (high >> 2 & 3) << 8;
      float scale = d * (0.5f + (float)((blocks[74 + r / 2] >> (4 * (r % 2))) & 15)) * 0.25f;
      i32x16 levels = grid_levels8(quern_grid_iq2_s[a], quern_grid_iq2_s[b]);
      grid_store(out + i + 16 * r, iq2_values(levels), load_u16(blocks + 34 + 2 * r), scale);
    }
  }
}

static void PASTE(decode_iq3_xxs, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 98) {
    float d = load_f16(blocks);
    for (int r = 0; r < 16; r++) {
      const uint8_t *point = blocks + 2 + 4 * r;
      uint32_t rest = load_u32(blocks + 66 + 4 * (r / 2)), bits = rest >> (14 * (r % 2));
      float scale = d * (0.5f + (float)(rest >> 28)) * 0.5f;
      uint16_t codes[4];
      for (int k = 0; k < 4; k++) codes[k] = quern_grid_iq3_xxs[point[k]];
      i32x16 values = iq3_xxs_values(grid_levels4(codes));
      grid_store(out + i + 16 * r, values, grid_signs7(bits) | grid_signs7(bits >> 7) << 8, scale);
    }
  }
}

static void PASTE(decode_iq3_s, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 110) {
    float d = load_f16(blocks);
    for (int r = 0; r < 16; r++) {
      uint32_t high = (uint32_t)blocks[66 + r / 2] >> (4 * (r % 2));
      float scale = d * (float)(1 + 2 * ((blocks[106 + r / 4] >> (4 * (r / 2 % 2))) & 15));
      uint16_t codes[4];
      for (int k = 0; k < 4; k++) codes[k] = quern_grid_iq3_s[blocks[2 + 4 * r + k] | (high >> k & 1) << 8];
      grid_store(out + i + 16 * r, 1 + 2 * grid_levels4(codes), load_u16(blocks + 74 + 2 * r), scale);
    }
  }
}

INLINE void iq1_store(float *out, uint32_t a, uint32_t b, int aMinus, int bMinus, float scale) {
  f32x16 levels = f32x16_from_i32(grid_levels8(quern_grid_iq1[a], quern_grid_iq1[b]) - 1);
  float p = aMinus ? -0.125f : 0.125f, q = bMinus ? -0.125f : 0.125f;
  const f32x16 delta = {p, p, p, p, p, p, p, p, q, q, q, q, q, q, q, q};
  f32x16_store(out, (levels + delta) * scale);
}

static void PASTE(decode_iq1_s, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 50) {
    float d = load_f16(blocks);
    for (int r = 0; r < 16; r++) {
      uint32_t rest = load_u16(blocks + 34 + 2 * (r / 2)), high = rest >> (6 * (r % 2));
      int isMinus = (rest & 0x8000) != 0;
      iq1_store(out + i + 16 * r, blocks[2 + 2 * r] | (high & 7) << 8, blocks[3 + 2 * r] | (high >> 3 & 7) << 8, isMinus,
                isMinus, d * (float)(2 * (rest >> 12 & 7) + 1));
    }
  }
}

static void PASTE(decode_iq1_m, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 56) {
    uint32_t bits = 0;
    for (int k = 0; k < 4; k++) bits |= (uint32_t)(load_u16(blocks + 48 + 2 * k) >> 12) << (4 * k);
    float d = f32_from_f16((uint16_t)bits);
    for (int r = 0; r < 16; r++) {
      uint32_t high = blocks[32 + r];
      uint32_t scale = (uint32_t)load_u16(blocks + 48 + 2 * (r / 4)) >> (3 * (r % 4)) & 7;
      iq1_store(out + i + 16 * r, blocks[2 * r] | (high & 7) << 8, blocks[2 * r + 1] | (high >> 4 & 7) << 8,
                (high & 8) != 0, (high & 128) != 0, d * (float)(2 * scale + 1));
    }
  }
}
