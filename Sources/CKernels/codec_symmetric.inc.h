// Q4_0, Q5_0, Q8_0 and kin: a half d and codes; x = d · code.
//
//   Q4_0  18 bytes  { f16 d; u8 nibbles[16] }              byte j: low = element j, high = element j + 16; code = nibble − 8
//   Q5_0  22 bytes  { f16 d; u32 fifth; u8 nibbles[16] }   bit j of fifth is bit 4 of element j;           code = value − 16
//   Q8_0  34 bytes  { f16 d; i8 codes[32] }
//   Q8_1  36 bytes  { f16 d; f16 sum; i8 codes[32] }             sum = d · Σ codes; activations only, read here
//   Q8_K 292 bytes  { f32 d; i8 codes[256]; i16 sums[16] }       likewise

static void PASTE(decode_q4_0, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 18) {
    f32x16 d = f32x16_splat(load_f16(blocks));
    u8x16 nibbles = u8x16_load(blocks + 2);
    f32x16_store(out + i, (f32x16_from_u8(nibbles & 15) - 8) * d);
    f32x16_store(out + i + 16, (f32x16_from_u8(nibbles >> 4) - 8) * d);
  }
}

// Bits 0–15 or 16–31 of `fifth`, each worth 16.
INLINE i32x16 fifth_bits(uint32_t fifth, int first) {
  const i32x16 lane = {1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7,
                       1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15};
  return ((i32x16_splat((int32_t)((fifth >> first) & 0xffff)) & lane) != 0) & 16;
}

static void PASTE(decode_q5_0, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 22) {
    f32x16 d = f32x16_splat(load_f16(blocks));
    uint32_t fifth = load_u32(blocks + 2);
    u8x16 nibbles = u8x16_load(blocks + 6);
    i32x16 low = __builtin_convertvector(nibbles & 15, i32x16) | fifth_bits(fifth, 0);
    i32x16 high = __builtin_convertvector(nibbles >> 4, i32x16) | fifth_bits(fifth, 16);
    f32x16_store(out + i, f32x16_from_i32(low - 16) * d);
    f32x16_store(out + i + 16, f32x16_from_i32(high - 16) * d);
  }
}

INLINE void decode_signed_bytes(const uint8_t *codes, float scale, int elements, float *out) {
  for (int j = 0; j < elements; j += 16) {
    i32x16 q = __builtin_convertvector((i8x16)u8x16_load(codes + j), i32x16);
    f32x16_store(out + j, f32x16_from_i32(q) * scale);
  }
}

static void PASTE(decode_q8_0, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 34) decode_signed_bytes(blocks + 2, load_f16(blocks), 32, out + i);
}
static void PASTE(decode_q8_1, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 36) decode_signed_bytes(blocks + 4, load_f16(blocks), 32, out + i);
}
static void PASTE(decode_q8_k, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 256, blocks += 292) {
    float d;
    memcpy(&d, blocks, 4);
    decode_signed_bytes(blocks + 4, d, 256, out + i);
  }
}

// Final codes under the stored scale; accumulates the plain squared error.
INLINE i32x16 symmetric_code(f32x16 x, f32x16 scale, f32x16 inverse, float low, float high, f64x16 *error) {
  f32x16 q = code_of(x, inverse, low, high), e = f32x16_fma(-q, scale, x);
  f64x16 wide = f64x16_from_f32(e);  // squares of floats would leave their range
  *error += wide * wide;
  return i32x16_from_f32(q);
}

// The sums of two scales side by side: each is a chain that one alone would wait for.
INLINE void symmetric_sum_two(const f32x16 *x, const f32x16 *weights, int elements, float low, float high,
                              const f32x16 scales[2], symmetric_sums sums[2]) {
  f32x16 zero = f32x16_splat(0), inverse[2];
  for (int k = 0; k < 2; k++) {
    inverse[k] = f32x16_reciprocal(scales[k]);
    sums[k] = (symmetric_sums){zero, zero, zero};
  }
  for (int j = 0; j < elements; j++)
    for (int k = 0; k < 2; k++) {
      f32x16 q = code_of(x[j], inverse[k], low, high), e = f32x16_fma(-q, scales[k], x[j]);
      f32x16 wq = weights ? weights[j] * q : q, we = weights ? weights[j] * e : e;
      sums[k].error = f32x16_fma(we, e, sums[k].error);
      sums[k].xq = f32x16_fma(wq, x[j], sums[k].xq);
      sums[k].qq = f32x16_fma(wq, q, sums[k].qq);
    }
}

// What is chosen, and what is stored for it (codec_unbiased.inc.h).
typedef struct {
  f32x16 scale, stored;
} symmetric_choice;

// The search for 2^codeBits levels. ggml puts the extreme element at the lowest; here it is tried at places from beyond it
// down, and where the other sign of the scale has its last level. The best proposal is then fitted to its own codes.
// Places closer than these give nearly the same codes: fourteen of them found nothing that these seven do not.
INLINE symmetric_choice symmetric_search(const f32x16 *x, const f32x16 *weights, int isUnbiased, int elements,
                                         int codeBits) {
  float low = -(float)(1 << (codeBits - 1)), high = -low - 1;
  f32x16 extreme = group_extreme(x, elements), plain = f32x16_to_half_grid(extreme / low);
  pairs p;
  pairs_load(x, weights, elements, codeBits, extreme, &p);
  pairs_choice choice = {f32x16_splat(-1), plain / p.unit};
  for (int step = 0; step < 6; step++)
    pairs_propose(&p, weights != 0, elements, codeBits, (low - 0.875f + 0.3125f * (float)step) / low, 1, &choice);
  pairs_propose(&p, weights != 0, elements, codeBits, high / -low, -1, &choice);
  f32x16 scale = f32x16_to_half_grid(choice.scale * p.unit);
  symmetric_sums both[2];
  symmetric_sum_two(x, weights, elements, low, high, (f32x16[]){plain, scale}, both);
  symmetric_sums s = both[0];
  f32x16 limit = s.error;
  i32x16 better = both[1].error < limit;
  s.error = f32x16_select(better, both[1].error, s.error);
  s.xq = f32x16_select(better, both[1].xq, s.xq);
  s.qq = f32x16_select(better, both[1].qq, s.qq);
  scale = f32x16_select(better, scale, plain);
  return (symmetric_choice){scale, isUnbiased ? unbiased_scale(scale, s, limit) : scale};
}

// The codes of the choice, counted from zero. Returns the plain squared errors of what is stored.
INLINE f64x16 symmetric_codes(const f32x16 *x, int elements, int codeBits, symmetric_choice choice, u8x16 *codes) {
  float low = -(float)(1 << (codeBits - 1)), high = -low - 1;
  f32x16 inverse = f32x16_reciprocal(choice.scale), sums[2] = {f32x16_splat(0), f32x16_splat(0)};
  for (int j = 0; j < elements; j++) {
    f32x16 q = code_of(x[j], inverse, low, high), e = f32x16_fma(-q, choice.stored, x[j]);
    sums[j % 2] = f32x16_fma(e, e, sums[j % 2]);
    codes[j] = __builtin_convertvector((i32x16)(q + (12582912 - low)), u8x16);  // the last bits, see f32x16_round
  }
  f32x16 sum = sums[0] + sums[1];
  if (i32x16_sum((sum > 1e-30f) & (sum < 1e30f)) == -16) return f64x16_from_f32(sum);
  f64x16 error = {0};
  for (int j = 0; j < elements; j++) symmetric_code(x[j], choice.stored, inverse, low, high, &error);
  return error;
}

// Sixteen blocks, one per lane, from codes[element][lane] counted from zero.
INLINE void nibbles_store(uint8_t *const blocks[16], size_t offset, const u8x16 *codes) {
  u8x16 nibbles[16];
  for (int j = 0; j < 16; j++) nibbles[j] = (codes[j] & 15) | codes[j + 16] << 4;
  group_store(blocks, offset, nibbles);
}
// Four codes of two bits in a byte, the first lowest.
INLINE u8x16 quarters(const u8x16 *codes) { return codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6; }
INLINE void fifths_store(uint8_t *const blocks[16], size_t offset, const u8x16 *codes) {
  i32x16 low = {0}, high = {0};
  for (int j = 0; j < 16; j++) {
    low |= __builtin_convertvector(codes[j] >> 4, i32x16) << j;
    high |= __builtin_convertvector(codes[j + 16] >> 4, i32x16) << j;
  }
  group_store_u16(blocks, offset, __builtin_convertvector(low, u16x16));
  group_store_u16(blocks, offset + 2, __builtin_convertvector(high, u16x16));
}

INLINE f64x16 q4_0_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  symmetric_choice best = symmetric_search(x, weights, isUnbiased, 32, 4);
  u8x16 codes[32];
  f64x16 error = symmetric_codes(x, 32, 4, best, codes);
  group_store_u16(blocks, 0, half_from_f32x16(best.stored));
  nibbles_store(blocks, 2, codes);
  return error;
}

INLINE f64x16 q5_0_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  symmetric_choice best = symmetric_search(x, weights, isUnbiased, 32, 5);
  u8x16 codes[32];
  f64x16 error = symmetric_codes(x, 32, 5, best, codes);
  group_store_u16(blocks, 0, half_from_f32x16(best.stored));
  fifths_store(blocks, 2, codes);
  nibbles_store(blocks, 6, codes);
  return error;
}

// The errors of Q8_0's codes under stored scales which keep all of them within −128 … 127: two side by side, since each
// is a chain of sums.
INLINE void q8_0_measure(const f32x16 *x, const f32x16 *weights, const f32x16 scales[2], int isClamped, scale_choice *best) {
  f32x16 magic = f32x16_splat(12582912);  // see f32x16_round
  f32x16 inverse[2], error[2];
  for (int k = 0; k < 2; k++) {
    inverse[k] = f32x16_reciprocal(scales[k]);
    error[k] = f32x16_splat(0);
  }
  for (int j = 0; j < 32; j++)
    for (int k = 0; k < 2; k++) {
      f32x16 q = isClamped ? code_of(x[j], inverse[k], -128, 127) : f32x16_fma(x[j], inverse[k], magic) - magic;
      f32x16 e = f32x16_fma(-q, scales[k], x[j]);
      error[k] = f32x16_fma(weights ? weights[j] * e : e, e, error[k]);
    }
  for (int k = 0; k < 2; k++) choice_keep(best, scales[k], f32x16_splat(0), error[k]);
}

// 255 levels: the extreme stays on one, ggml's 127 first and then −128, −126 … −123 (the scale takes its sign). Each of
// these scales rounds the other elements afresh, and the luckiest wins.
INLINE f64x16 q8_0_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  (void)isUnbiased;
  f32x16 extreme = group_extreme(x, 32), size = f32x16_abs(extreme), scales[6] = {size / 127};
  for (int i = 0; i < 5; i++) scales[i + 1] = extreme / (i == 0 ? -128.0f : (float)(i - 127));
  for (int i = 0; i < 6; i++) scales[i] = f32x16_to_half_grid(scales[i]);
  scale_choice best = {scales[0], f32x16_splat(0), f32x16_splat(__builtin_inff())};
  // −128 has no opposite. Behind it, a half is close enough to the scale that was meant for the extreme to stay on its
  // level.
  q8_0_measure(x, weights, scales, 1, &best);
  int isRegular = i32x16_sum((size > 0.01f) & (size < 8e6f)) == -16;
  for (int i = 2; i < 6; i += 2)
    if (isRegular) q8_0_measure(x, weights, scales + i, 0, &best);
    else q8_0_measure(x, weights, scales + i, 1, &best);
  u8x16 codes[32];
  f64x16 error = symmetric_codes(x, 32, 8, (symmetric_choice){best.scale, best.scale}, codes);
  for (int j = 0; j < 32; j++) codes[j] ^= 0x80;
  group_store_u16(blocks, 0, half_from_f32x16(best.scale));
  group_store(blocks, 2, codes);
  group_store(blocks, 18, codes + 16);
  return error;
}

ENCODE_GROUPS(q4_0, 32, 1, 18)
ENCODE_GROUPS(q5_0, 32, 1, 22)
ENCODE_GROUPS(q8_0, 32, 1, 34)
