// Encoders of IQ4_NL and IQ4_XS (codec_levels.inc.h): sixteen uneven levels, x = scale · level.

// The number of the level nearest to t, the lower of two equally near, and the level itself. In units of a half, the
// floor of t lies on the same side of every boundary as t does.
typedef struct {
  i16x16 code, level;
} iq4_choice;

INLINE iq4_choice iq4_nearest(f32x16 t) {
  static const int16_t boundaries[15] = {-231, -187, -148, -114, -84, -57, -32, -9, 14, 38, 63, 91, 122, 158, 202};
  static const int16_t gaps[15] = {23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24};
  // Clamped and moved above zero, so that truncation is the floor.
  i32x16 halves = i32x16_from_f32(f32x16_clamp(t, -127, 113) * 2 + 256) - 256;
  i16x16 h = __builtin_convertvector(halves, i16x16), zero = {0};
  iq4_choice c = {zero, zero - 127};
  for (int k = 0; k < 15; k++) {
    i16x16 above = h >= boundaries[k];
    c.code -= above;
    c.level += above & gaps[k];
  }
  return c;
}
INLINE f32x16 iq4_level(f32x16 t) { return f32x16_from_i32(__builtin_convertvector(iq4_nearest(t).level, i32x16)); }

INLINE symmetric_sums iq4_sum(const f32x16 *x, const f32x16 *weights, f32x16 step) {
  f32x16 inverse = f32x16_reciprocal(step);
  symmetric_sums s = {f32x16_splat(0), f32x16_splat(0), f32x16_splat(0)};
  for (int j = 0; j < 32; j++) {
    f32x16 q = iq4_level(x[j] * inverse), e = f32x16_fma(-q, step, x[j]);
    f32x16 wq = weights ? weights[j] * q : q, we = weights ? weights[j] * e : e;
    s.error = f32x16_fma(we, e, s.error);
    s.xq = f32x16_fma(wq, x[j], s.xq);
    s.qq = f32x16_fma(wq, q, s.qq);
  }
  return s;
}

// The float scale a lane would like: the extreme element at places around either end, each refitted to its codes.
INLINE f32x16 iq4_wish(const f32x16 *x, const f32x16 *weights) {
  f32x16 perExtreme = f32x16_reciprocal(group_extreme(x, 32));
  f32x16 wish = f32x16_splat(0), gain = f32x16_splat(-1);
  for (int step = -3; step <= 3; step++)
    for (int side = 0; side < 2; side++) {
      float place = (side ? 113.0f : -127.0f) * (1 + 0.045f * (float)step);
      symmetric_sums s = iq4_sum(x, weights, f32x16_reciprocal(perExtreme * place));
      f32x16 scale = s.xq / s.qq, explained = scale * s.xq;
      i32x16 better = explained > gain;
      gain = f32x16_select(better, explained, gain);
      wish = f32x16_select(better, scale, wish);
    }
  return wish;
}

// By how much a block's d must grow to be unbiased (codec_unbiased.inc.h).
INLINE f32x16 iq4_factor(const f32x16 *x, const f32x16 *weights, f32x16 step, int lanes) {
  symmetric_sums s = iq4_sum(x, weights, step);
  return unbiased_factor(unbiased_from(step, s.error, s.xq, s.qq), lanes);
}

// Codes by `step` of element j in the low and j + 16 in the high nibble, as bytes [lane][j]; accumulates the plain squared
// error of what is stored.
INLINE void iq4_codes(const f32x16 *x, f32x16 step, f32x16 stored, u8x16 nibbles[16], f64x16 *error) {
  f32x16 inverse = f32x16_reciprocal(step);
  u8x16 codes[32];
  for (int j = 0; j < 32; j++) {
    iq4_choice c = iq4_nearest(x[j] * inverse);
    f32x16 e = x[j] - f32x16_from_i32(__builtin_convertvector(c.level, i32x16)) * stored;
    f64x16 wide = f64x16_from_f32(e);
    *error += wide * wide;
    codes[j] = __builtin_convertvector(c.code, u8x16);
  }
  for (int j = 0; j < 16; j++) nibbles[j] = codes[j] | codes[j + 16] << 4;
}

INLINE f64x16 iq4_nl_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  f32x16 scale = iq4_wish(x, weights), best = f32x16_splat(0), least = f32x16_splat(__builtin_inff());
  for (int round = 0; round < 3; round++) {
    scale = f32x16_to_half_grid(scale);
    symmetric_sums s = iq4_sum(x, weights, scale);
    i32x16 better = s.error < least;
    least = f32x16_select(better, s.error, least);
    best = f32x16_select(better, scale, best);
    scale = s.xq / s.qq;
  }
  f32x16 stored = isUnbiased ? f32x16_to_half_grid(best * iq4_factor(x, weights, best, 1)) : best;
  f64x16 error = {0};
  u8x16 nibbles[16];
  iq4_codes(x, best, stored, nibbles, &error);
  group_store_u16(blocks, 0, half_from_f32x16(stored));
  group_store(blocks, 2, nibbles);
  return error;
}

// One block whose eight lanes begin at `first`, from its bytes of codes.
INLINE void iq4_xs_store(uint8_t *block, const u8x16 *nibbles, const k_symmetric *k, int first) {
  i32x16 scales = i32x16_from_f32(k->scale) + 32;
  uint32_t high = 0;
  memset(block + 4, 0, 4);
  for (int j = 0; j < 8; j++) {
    high |= (uint32_t)(scales[first + j] >> 4) << (2 * j);
    block[4 + j / 2] |= (uint8_t)((scales[first + j] & 15) << (4 * (j % 2)));
    u8x16_store(block + 8 + 16 * j, nibbles[j]);
  }
  store_u16(block, half_from_f32x16(k->d)[first]);
  store_u16(block + 2, (uint16_t)high);
}

// Two blocks of eight lanes, as in k_symmetric_search.
INLINE f64x16 iq4_xs_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  f32x16 zero = f32x16_splat(0), wish = iq4_wish(x, weights), d = block_extreme(wish, 8) / -32;
  k_symmetric best = {zero, zero, f32x16_splat(__builtin_inff())};
  for (int round = 0; round < 2; round++) {
    k_symmetric k = {f32x16_to_half_grid(d), zero, f32x16_splat(__builtin_inff())};
    symmetric_sums kept = {zero, zero, zero};
    f32x16 middle = f32x16_round(f32x16_clamp(wish * f32x16_reciprocal(k.d), -32, 31));
    for (int offset = -1; offset <= 1; offset++) {
      f32x16 scale = f32x16_clamp(middle + (float)offset, -32, 31);
      symmetric_sums s = iq4_sum(x, weights, k.d * scale);
      i32x16 better = s.error < k.error;
      k.error = f32x16_select(better, s.error, k.error);
      k.scale = f32x16_select(better, scale, k.scale);
      kept.xq = f32x16_select(better, s.xq, kept.xq);
      kept.qq = f32x16_select(better, s.qq, kept.qq);
    }
    i32x16 better = block_sum(k.error, 8) < block_sum(best.error, 8);
    best.d = f32x16_select(better, k.d, best.d);
    best.scale = f32x16_select(better, k.scale, best.scale);
    best.error = f32x16_select(better, k.error, best.error);
    d = block_sum(k.scale * kept.xq, 8) / block_sum(k.scale * k.scale * kept.qq, 8);
  }
  f32x16 step = best.d * best.scale;
  if (isUnbiased) best.d = f32x16_to_half_grid(best.d * iq4_factor(x, weights, step, 8));
  f64x16 error = {0};
  u8x16 nibbles[16];
  iq4_codes(x, step, best.d * best.scale, nibbles, &error);
  u8_transpose16(nibbles);
  for (int b = 0; b < 2; b++) iq4_xs_store(blocks[b], nibbles + 8 * b, &best, 8 * b);
  return error;
}

ENCODE_GROUPS(iq4_nl, 32, 1, 18)
ENCODE_GROUPS(iq4_xs, 32, 8, 136)
