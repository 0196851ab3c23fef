// Encoders of TQ1_0, TQ2_0 and Q2_0 (codec_few.inc.h).
//
// Ternary: −1, 0 or 1 times a half per 256 elements. ggml takes the largest element as the scale, which is right for models
// trained to be ternary; the search finds that too, and better elsewhere.

typedef struct {
  f32x16 error, xq, qq;  // of the whole block, in every lane
} ternary_sums;

INLINE f32x16 ternary_code(f32x16 x, f32x16 half) {
  f32x16 zero = f32x16_splat(0), one = f32x16_splat(1);
  return f32x16_select(x > half, one, f32x16_select(x < -half, -one, zero));
}

INLINE ternary_sums ternary_sum(const f32x16 *x, const f32x16 *weights, f32x16 d) {
  f32x16 half = d * 0.5f, error = f32x16_splat(0), xq = error, qq = error;
  for (int j = 0; j < 16; j++) {
    f32x16 q = ternary_code(x[j], half), e = x[j] - q * d;
    f32x16 wq = weights ? weights[j] * q : q, we = weights ? weights[j] * e : e;
    error += we * e;
    xq += wq * x[j];
    qq += wq * q;
  }
  return (ternary_sums){block_sum(error, 16), block_sum(xq, 16), block_sum(qq, 16)};
}

// One block: a lane is sixteen elements in a row.
INLINE f32x16 ternary_scale(const f32x16 *x, const f32x16 *weights) {
  f32x16 largest = f32x16_abs(block_extreme(group_extreme(x, 16), 16));
  f32x16 best = f32x16_splat(0), least = f32x16_splat(__builtin_inff());
  for (int step = 16; step > 2; step--) {
    f32x16 d = largest * ((float)step / 16);
    for (int round = 0; round < 3; round++) {
      d = f32x16_to_half_grid(d);
      ternary_sums s = ternary_sum(x, weights, d);
      i32x16 better = step == 16 && round == 0 ? i32x16_splat(-1) : s.error < least;
      least = f32x16_select(better, s.error, least);
      best = f32x16_select(better, d, best);
      d = s.xq / s.qq;
    }
  }
  return best;
}

// Codes 0, 1, 2 as rows of sixteen elements.
INLINE f64x16 ternary_codes(const f32x16 *x, f32x16 d, u8x16 codes[16]) {
  f64x16 error = {0};
  f32x16 half = d * 0.5f;
  for (int j = 0; j < 16; j++) {
    f32x16 q = ternary_code(x[j], half);
    f64x16 wide = f64x16_from_f32(x[j] - q * d);
    error += wide * wide;
    codes[j] = __builtin_convertvector(i32x16_from_f32(q) + 1, u8x16);
  }
  u8_transpose16(codes);
  return error;
}

INLINE f64x16 tq2_0_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  (void)isUnbiased;
  f32x16 d = ternary_scale(x, weights);
  u8x16 c[16];  // row r: half r / 8, group r / 2 % 4, h = r % 2
  f64x16 error = ternary_codes(x, d, c);
  for (int n = 0; n < 2; n++)
    for (int h = 0; h < 2; h++) {
      const u8x16 *row = c + 8 * n + h;
      u8x16_store(blocks[0] + 32 * n + 16 * h, row[0] | row[2] << 2 | row[4] << 4 | row[6] << 6);
    }
  store_u16(blocks[0] + 64, half_from_f32x16(d)[0]);
  return error;
}

// Five digits, the first most significant, as ⌈v · 256 / 243⌉.
INLINE u8x16 ternary_byte(u8x16 a, u8x16 b, u8x16 c, u8x16 d, u8x16 e) {
  u16x16 v = __builtin_convertvector((((a * 3 + b) * 3 + c) * 3 + d) * 3 + e, u16x16);
  u32x16 scaled = (__builtin_convertvector(v, u32x16) * 256 + 242) / 243;
  return __builtin_convertvector(scaled, u8x16);
}

INLINE f64x16 tq1_0_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  (void)isUnbiased;
  f32x16 d = ternary_scale(x, weights);
  u8x16 c[16];
  f64x16 error = ternary_codes(x, d, c);
  uint8_t *block = blocks[0];
  // 32 bytes hold rows 0–9, two rows to a digit; 16 bytes rows 10–14; 4 bytes the last row, four digits each.
  for (int h = 0; h < 2; h++) u8x16_store(block + 16 * h, ternary_byte(c[h], c[h + 2], c[h + 4], c[h + 6], c[h + 8]));
  u8x16_store(block + 32, ternary_byte(c[10], c[11], c[12], c[13], c[14]));
  u8x16 last = c[15], zero = {0};
  u8x16 four = ternary_byte(last, __builtin_shufflevector(last, last, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7),
                            __builtin_shufflevector(last, last, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11),
                            __builtin_shufflevector(last, last, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15), zero);
  memcpy(block + 48, &four, 4);
  store_u16(block + 52, half_from_f32x16(d)[0]);
  return error;
}

// Q2_0: codes −1 to 2 under a half of either sign, two lanes to a block. ggml takes the largest magnitude as the scale, so
// that no element ever has the code 2.

// Over the two lanes of a block, in both.
INLINE f32x16 pair_sum(f32x16 v) {
  return v + __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}

INLINE symmetric_sums q2_0_sum(const f32x16 *x, const f32x16 *weights, f32x16 scale) {
  symmetric_sums s = symmetric_sum(x, weights, 32, -1, 2, scale);
  return (symmetric_sums){pair_sum(s.error), pair_sum(s.xq), pair_sum(s.qq)};
}

// On each side of zero the extreme element is tried at places from code 1 to beyond code 2, and what explains most is
// fitted to its own codes.
INLINE symmetric_choice q2_0_search(const f32x16 *x, const f32x16 *weights, int isUnbiased) {
  f32x16 extreme = block_extreme(group_extreme(x, 32), 2), perExtreme = f32x16_reciprocal(extreme);
  f32x16 plain = f32x16_to_half_grid(f32x16_abs(extreme));
  scale_choice best = {plain, f32x16_splat(0), f32x16_splat(__builtin_inff())};
  f32x16 limit = q2_0_sum(x, weights, plain).error;
  choice_keep(&best, plain, f32x16_splat(0), limit);
  for (int side = -1; side < 2; side += 2) {
    f32x16 gain = f32x16_splat(-1), scale = plain;
    for (int step = 4; step < 15; step++) {
      f32x16 inverse = perExtreme * (0.25f * (float)(side * step)), xq = f32x16_splat(0), qq = xq;
      for (int j = 0; j < 32; j++) {
        f32x16 q = code_of(x[j], inverse, -1, 2), wq = weights ? weights[j] * q : q;
        xq += wq * x[j];
        qq += wq * q;
      }
      xq = pair_sum(xq);
      f32x16 wish = xq / pair_sum(qq), explained = wish * xq;
      i32x16 better = explained > gain;
      gain = f32x16_select(better, explained, gain);
      scale = f32x16_select(better, wish, scale);
    }
    for (int round = 0; round < 3; round++) {
      scale = f32x16_to_half_grid(scale);
      symmetric_sums s = q2_0_sum(x, weights, scale);
      choice_keep(&best, scale, f32x16_splat(0), s.error);
      scale = s.xq / s.qq;
    }
  }
  symmetric_sums s = q2_0_sum(x, weights, best.scale);
  return (symmetric_choice){best.scale, isUnbiased ? unbiased_scale(best.scale, s, limit) : best.scale};
}

INLINE f64x16 q2_0_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  symmetric_choice best = q2_0_search(x, weights, isUnbiased);
  f32x16 inverse = f32x16_reciprocal(best.scale);
  f64x16 error = {0};
  u8x16 codes[32], bytes[16] = {{0}};
  for (int j = 0; j < 32; j++)
    codes[j] = __builtin_convertvector(symmetric_code(x[j], best.stored, inverse, -1, 2, &error) + 1, u8x16);
  for (int j = 0; j < 8; j++) bytes[j] = quarters(codes + 4 * j);
  u8_transpose16(bytes);
  u16x16 halves = half_from_f32x16(best.stored);
  for (int lane = 0; lane < 16; lane++) {
    if (lane % 2 == 0) store_u16(blocks[lane / 2], halves[lane]);
    memcpy(blocks[lane / 2] + 2 + lane % 2 * 8, &bytes[lane], 8);
  }
  return error;
}

ENCODE_GROUPS(q2_0, 32, 2, 18)
ENCODE_GROUPS(tq1_0, 16, 16, 54)
ENCODE_GROUPS(tq2_0, 16, 16, 66)
