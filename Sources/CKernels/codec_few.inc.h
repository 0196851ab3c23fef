// One and two bits, and ternary digits; x = d · code.
//
//   Q1_0   18 bytes  { f16 d; u8 bits[16] }                   128 elements; −1, 1; the first in bit 0
//   Q2_0   18 bytes  { f16 d; u8 codes[16] }                   64 elements; code − 1
//   TQ2_0  66 bytes  { u8 codes[2][32]; f16 d }               256 elements; code − 1; bits 2j of a byte: group j of 32
//   TQ1_0  54 bytes  { u8 fives[48]; u8 fours[4]; f16 d }     256 elements; digit − 1; five (four) digits in a byte
//
// Byte b of TQ1_0 is ⌈v · 256 / 243⌉ for the number v with base-3 digits, most significant first: digit n is the integer
// part of 3 · frac(b · 3^n / 256).

static void PASTE(decode_q1_0, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 128, blocks += 18) {
    f32x16 d = f32x16_splat(load_f16(blocks));
    for (int k = 0; k < 8; k++) {
      i32x16 isMinus = fifth_bits(load_u16(blocks + 2 + 2 * k), 0) == 0;
      f32x16_store(out + i + 16 * k, (f32x16)((i32x16)d ^ (isMinus & INT32_MIN)));
    }
  }
}

static void PASTE(decode_q2_0, ISA)(const uint8_t *blocks, float *out, size_t count) {
  const i32x16 shift = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
  for (size_t i = 0; i < count; i += 64, blocks += 18) {
    float d = load_f16(blocks);
    for (int k = 0; k < 4; k++) {
      u32x16 word = (u32x16)i32x16_splat((int32_t)load_u32(blocks + 2 + 4 * k));
      i32x16 codes = (i32x16)((word >> (u32x16)shift) & 3);
      f32x16_store(out + i + 16 * k, f32x16_from_i32(codes - 1) * d);
    }
  }
}

static void PASTE(decode_tq2_0, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 66) {
    float d = load_f16(blocks + 64);
    for (int r = 0; r < 16; r++) {
      u8x16 codes = (u8x16_load(blocks + 32 * (r / 8) + 16 * (r % 2)) >> (uint8_t)(2 * (r / 2 % 4))) & 3;
      f32x16_store(out + i + 16 * r, (f32x16_from_u8(codes) - 1) * d);
    }
  }
}

INLINE f32x16 ternary_digit(u8x16 bytes, uint8_t power) {
  u16x16 fraction = __builtin_convertvector(bytes * power, u16x16);
  return f32x16_from_u8(__builtin_convertvector((fraction * 3) >> 8, u8x16)) - 1;
}

static void PASTE(decode_tq1_0, ISA)(const uint8_t *blocks, float *out, size_t count) {
  static const uint8_t powers[5] = {1, 3, 9, 27, 81};
  for (size_t i = 0; i < count; i += 256, blocks += 54) {
    float d = load_f16(blocks + 52), *target = out + i;
    // 32 bytes give 160 elements, digit by digit; 16 bytes the next 80; 4 bytes the last 16.
    for (int n = 0; n < 5; n++)
      for (int h = 0; h < 32; h += 16) f32x16_store(target + 32 * n + h, ternary_digit(u8x16_load(blocks + h), powers[n]) * d);
    for (int n = 0; n < 5; n++) f32x16_store(target + 160 + 16 * n, ternary_digit(u8x16_load(blocks + 32), powers[n]) * d);
    u8x16 four = {0};
    memcpy(&four, blocks + 48, 4);
    four = __builtin_shufflevector(four, four, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
    const u8x16 power = {1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27};
    f32x16_store(target + 240, ternary_digit(four * power, 1) * d);
  }
}
