// Encoders of MXFP4 and NVFP4 (codec_levels.inc.h): four-bit floats, x = scale · level, the scale itself a small float.
// There are few scales to choose from, so those that can be best are all measured.

typedef struct {
  i32x16 code;
  f32x16 level;  // twice E2M1
} fp4_choice;

// The level nearest to t, the smaller of two equally near; zero without a sign.
INLINE fp4_choice fp4_nearest(f32x16 t) {
  static const float boundaries[7] = {0.5f, 1.5f, 2.5f, 3.5f, 5, 7, 10}, gaps[7] = {1, 1, 1, 1, 2, 2, 4};
  f32x16 magnitude = f32x16_abs(t), zero = f32x16_splat(0);
  fp4_choice c = {i32x16_splat(0), zero};
  for (int k = 0; k < 7; k++) {
    i32x16 above = magnitude > boundaries[k];
    c.code -= above;
    c.level += f32x16_select(above, f32x16_splat(gaps[k]), zero);
  }
  i32x16 negative = (t < zero) & (c.code != 0);
  c.code |= negative & 8;
  c.level = f32x16_select(negative, -c.level, c.level);
  return c;
}

INLINE f32x16 fp4_error(const f32x16 *x, const f32x16 *weights, int elements, f32x16 scale) {
  f32x16 inverse = f32x16_reciprocal(scale), error = f32x16_splat(0);
  for (int j = 0; j < elements; j++) {
    f32x16 e = x[j] - fp4_nearest(x[j] * inverse).level * scale;
    error += weights ? weights[j] * e * e : e * e;
  }
  return error;
}

INLINE void fp4_codes(const f32x16 *x, int elements, f32x16 scale, u8x16 *codes, f64x16 *error) {
  f32x16 inverse = f32x16_reciprocal(scale);
  for (int j = 0; j < elements; j++) {
    fp4_choice c = fp4_nearest(x[j] * inverse);
    f64x16 wide = f64x16_from_f32(x[j] - c.level * scale);
    *error += wide * wide;
    codes[j] = __builtin_convertvector(c.code, u8x16);
  }
}

// The exponent that puts the extreme element between 4 and 8 halves of the top level (ggml's), and its neighbours. Those
// below 2 and above 252 have no reciprocal or reach beyond floats.
INLINE f64x16 mxfp4_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  (void)isUnbiased;
  i32x16 usual = (((i32x16)f32x16_abs(group_extreme(x, 32)) >> 23) & 255) - 2, best = usual;
  f32x16 least = f32x16_splat(__builtin_inff()), scale = f32x16_splat(0);
  for (int step = 0; step < 3; step++) {
    i32x16 exponent = usual + (step == 2 ? -1 : step);
    exponent = (exponent & ~(exponent < 2)) | ((exponent < 2) & 2);
    exponent = (exponent & ~(exponent > 252)) | ((exponent > 252) & 252);
    f32x16 candidate = (f32x16)((exponent - 1) << 23), error = fp4_error(x, weights, 32, candidate);
    i32x16 better = step == 0 ? i32x16_splat(-1) : error < least;
    least = f32x16_select(better, error, least);
    scale = f32x16_select(better, candidate, scale);
    best = (exponent & better) | (best & ~better);
  }
  f64x16 error = {0};
  u8x16 codes[32], nibbles[16];
  fp4_codes(x, 32, scale, codes, &error);
  for (int j = 0; j < 16; j++) nibbles[j] = codes[j] | codes[j + 16] << 4;
  for (int b = 0; b < 16; b++) blocks[b][0] = (uint8_t)best[b];
  group_store(blocks, 1, nibbles);
  return error;
}

// The E4M3 number nearest to x ≥ 0 as a byte; the numbers of bytes are in their order.
INLINE i32x16 e4m3_nearest(f32x16 x) {
  i32x16 normal = (((i32x16)x + (1 << 19)) >> 20) - (120 << 3);
  i32x16 subnormal = i32x16_from_f32(f32x16_round(f32x16_min(x, f32x16_splat(1)) * 512));
  i32x16 isSubnormal = x < 0x1p-6f;
  return (subnormal & isSubnormal) | (normal & ~isSubnormal);
}

// Lanes are quarters of a block. The extreme element is tried at the top level and, by larger scales, below it.
INLINE f64x16 nvfp4_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  (void)isUnbiased;
  f32x16 extreme = f32x16_abs(group_extreme(x, 16));
  i32x16 usual = e4m3_nearest(f32x16_min(extreme / 6, f32x16_splat(448))), best = {0};
  f32x16 least = f32x16_splat(__builtin_inff()), scale = f32x16_splat(0);
  for (int step = 0; step < 9; step++) {
    i32x16 byte = usual + (step > 6 ? 6 - step : step);
    byte &= ~(byte < 0);
    byte = (byte & ~(byte > 126)) | ((byte > 126) & 126);
    f32x16 candidate = f32x16_from_half(__builtin_convertvector(byte << 7, u16x16)) * 128;
    f32x16 error = fp4_error(x, weights, 16, candidate);
    i32x16 better = step == 0 ? i32x16_splat(-1) : error < least;
    least = f32x16_select(better, error, least);
    scale = f32x16_select(better, candidate, scale);
    best = (byte & better) | (best & ~better);
  }
  f64x16 error = {0};
  u8x16 codes[16];
  fp4_codes(x, 16, scale, codes, &error);
  u8_transpose16(codes);  // row: a lane's elements
  for (int lane = 0; lane < 16; lane++) {
    uint8_t *block = blocks[lane / 4];
    block[lane % 4] = (uint8_t)best[lane];
    for (int j = 0; j < 8; j++) block[4 + 8 * (lane % 4) + j] = (uint8_t)(codes[lane][j] | codes[lane][j + 8] << 4);
  }
  return error;
}

ENCODE_GROUPS(mxfp4, 32, 1, 17)
ENCODE_GROUPS(nvfp4, 16, 4, 36)
