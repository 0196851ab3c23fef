// Writing the K formats (layouts: codec_k.inc.h) from the scales that codec_k_search.inc.h found.

// What is to be stored for a choice, unbiased: another d (and dmin), the codes being those of the choice.
INLINE k_symmetric k_symmetric_unbiased(const f32x16 *x, const f32x16 *weights, int elements, int lanes, float low,
                                        float high, const k_symmetric *choice) {
  k_symmetric k = *choice;
  f32x16 step = k.d * k.scale;
  symmetric_sums s = symmetric_sum(x, weights, elements, low, high, step);
  k.d = f32x16_to_half_grid(k.d * unbiased_factor(unbiased_from(step, s.error, s.xq, s.qq), lanes));
  return k;
}
INLINE k_affine k_affine_unbiased(const f32x16 *x, const f32x16 *weights, int elements, int lanes, float high,
                                  const k_affine *choice) {
  k_affine k = *choice;
  f32x16 step = k.d * k.scale, below = k.dmin * k.minimum;
  affine_sums s = affine_sum(x, weights, elements, high, step, below);
  f32x16 kept = step * s.xq - below * s.wx;
  f32x16 squares = step * step * s.qq - 2 * step * below * s.q + below * below * s.w;
  f32x16 factor = unbiased_factor((unbiased_sums){kept, s.error + 2 * kept - squares}, lanes);
  k.d = f32x16_to_half_grid(k.d * factor);
  k.dmin = f32x16_to_half_grid(k.dmin * factor);
  return k;
}

// Codes of 16 elements of every lane by the choice, as bytes [lane][element]; accumulates the plain squared error of what
// is stored.
INLINE void k_symmetric_codes(const f32x16 *x, const k_symmetric *choice, const k_symmetric *stored, float low, float high,
                              u8x16 codes[16], f64x16 *error) {
  f32x16 inverse = f32x16_reciprocal(choice->d * choice->scale), step = stored->d * stored->scale;
  for (int j = 0; j < 16; j++)
    codes[j] = __builtin_convertvector(symmetric_code(x[j], step, inverse, low, high, error) - (int32_t)low, u8x16);
  u8_transpose16(codes);
}
INLINE void k_affine_codes(const f32x16 *x, const k_affine *choice, const k_affine *stored, float high, u8x16 codes[16],
                           f64x16 *error) {
  f32x16 inverse = f32x16_reciprocal(choice->d * choice->scale), below = choice->dmin * choice->minimum;
  f32x16 step = stored->d * stored->scale, offset = -(stored->dmin * stored->minimum);
  for (int j = 0; j < 16; j++) {
    f32x16 q = code_of(x[j] + below, inverse, 0, high), e = x[j] - f32x16_fma(q, step, offset);
    f64x16 wide = f64x16_from_f32(e);
    *error += wide * wide;
    codes[j] = __builtin_convertvector(i32x16_from_f32(q), u8x16);
  }
  u8_transpose16(codes);
}

INLINE void store_u16(uint8_t *p, uint16_t v) { memcpy(p, &v, 2); }

// One block from its codes; codes[r] are elements 16r …: half n = r / 8, group j = r / 2 % 4, h = r % 2.
INLINE void q6_k_store(uint8_t *block, const u8x16 *codes, const k_symmetric *k) {
  for (int n = 0; n < 2; n++)
    for (int h = 0; h < 2; h++) {
      const u8x16 *c = codes + 8 * n + h;
      u8x16_store(block + 64 * n + 16 * h, (c[0] & 15) | c[4] << 4);
      u8x16_store(block + 64 * n + 32 + 16 * h, (c[2] & 15) | c[6] << 4);
      u8x16_store(block + 128 + 32 * n + 16 * h, c[0] >> 4 | (c[2] >> 4) << 2 | (c[4] >> 4) << 4 | (c[6] >> 4) << 6);
    }
  u8x16_store(block + 192, __builtin_convertvector(i32x16_from_f32(k->scale) & 255, u8x16));
  store_u16(block + 208, half_from_f32x16(k->d)[0]);
}
INLINE f64x16 q6_k_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  k_symmetric choice = k_symmetric_search(x, weights, 16, 16, -32, 31, -128, 127, 3);
  k_symmetric k = isUnbiased ? k_symmetric_unbiased(x, weights, 16, 16, -32, 31, &choice) : choice;
  f64x16 error = {0};
  u8x16 codes[16];
  k_symmetric_codes(x, &choice, &k, -32, 31, codes, &error);
  q6_k_store(blocks[0], codes, &k);
  return error;
}

INLINE void q3_k_store(uint8_t *block, const u8x16 *codes, const k_symmetric *k) {
  for (int h = 0; h < 2; h++) {
    u8x16 high = {0};
    for (int n = 0; n < 2; n++) {
      u8x16 low = {0};
      for (int j = 0; j < 4; j++) {
        u8x16 c = codes[8 * n + 2 * j + h];
        low |= (c & 3) << (uint8_t)(2 * j);
        high |= (c >> 2) << (uint8_t)(4 * n + j);
      }
      u8x16_store(block + 32 + 32 * n + 16 * h, low);
    }
    u8x16_store(block + 16 * h, high);
  }
  i32x16 scales = i32x16_from_f32(k->scale) + 32;
  memset(block + 96, 0, 12);
  for (int r = 0; r < 16; r++) {
    block[96 + r % 8] |= (uint8_t)((scales[r] & 15) << (4 * (r / 8)));
    block[104 + r % 4] |= (uint8_t)((scales[r] >> 4) << (2 * (r / 4)));
  }
  store_u16(block + 108, half_from_f32x16(k->d)[0]);
}
INLINE f64x16 q3_k_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  k_symmetric choice = k_symmetric_search(x, weights, 16, 16, -4, 3, -32, 31, 1);
  k_symmetric k = isUnbiased ? k_symmetric_unbiased(x, weights, 16, 16, -4, 3, &choice) : choice;
  f64x16 error = {0};
  u8x16 codes[16];
  k_symmetric_codes(x, &choice, &k, -4, 3, codes, &error);
  q3_k_store(blocks[0], codes, &k);
  return error;
}

INLINE void q2_k_store(uint8_t *block, const u8x16 *codes, const k_affine *k) {
  u8x16_store(block, __builtin_convertvector(i32x16_from_f32(k->scale) | i32x16_from_f32(k->minimum) << 4, u8x16));
  for (int n = 0; n < 2; n++)
    for (int h = 0; h < 2; h++) {
      const u8x16 *c = codes + 8 * n + h;
      u8x16_store(block + 16 + 32 * n + 16 * h, c[0] | c[2] << 2 | c[4] << 4 | c[6] << 6);
    }
  store_u16(block + 80, half_from_f32x16(k->d)[0]);
  store_u16(block + 82, half_from_f32x16(k->dmin)[0]);
}
INLINE f64x16 q2_k_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  k_affine choice = k_affine_search(x, weights, 16, 16, 3, 15);
  k_affine k = isUnbiased ? k_affine_unbiased(x, weights, 16, 16, 3, &choice) : choice;
  f64x16 error = {0};
  u8x16 codes[16];
  k_affine_codes(x, &choice, &k, 3, codes, &error);
  q2_k_store(blocks[0], codes, &k);
  return error;
}

// d, dmin and the twelve bytes of eight six-bit scales and minima, of the block whose lanes begin at `first`.
INLINE void k_head_store(uint8_t *block, const k_affine *k, int first) {
  store_u16(block, half_from_f32x16(k->d)[first]);
  store_u16(block + 2, half_from_f32x16(k->dmin)[first]);
  i32x16 scales = i32x16_from_f32(k->scale), minima = i32x16_from_f32(k->minimum);
  uint8_t *s = block + 4;
  for (int j = 0; j < 4; j++) {
    int a = scales[first + j], b = scales[first + j + 4], m = minima[first + j], o = minima[first + j + 4];
    s[j] = (uint8_t)(a | b >> 4 << 6);
    s[j + 4] = (uint8_t)(m | o >> 4 << 6);
    s[j + 8] = (uint8_t)((b & 15) | (o & 15) << 4);
  }
}

// One block whose eight lanes begin at `first`; codes[h][r] are elements 16h … of sub-block r.
INLINE void q4_k_store(uint8_t *block, const u8x16 *const codes[2], const k_affine *k, int first) {
  k_head_store(block, k, first);
  for (int h = 0; h < 2; h++)
    for (int p = 0; p < 4; p++) u8x16_store(block + 16 + 32 * p + 16 * h, codes[h][2 * p] | codes[h][2 * p + 1] << 4);
}
INLINE void q5_k_store(uint8_t *block, const u8x16 *const codes[2], const k_affine *k, int first) {
  k_head_store(block, k, first);
  for (int h = 0; h < 2; h++) {
    const u8x16 *c = codes[h];
    u8x16 fifth = {0};
    for (int j = 0; j < 8; j++) fifth |= (c[j] >> 4) << (uint8_t)j;
    u8x16_store(block + 16 + 16 * h, fifth);
    for (int p = 0; p < 4; p++) u8x16_store(block + 48 + 32 * p + 16 * h, (c[2 * p] & 15) | c[2 * p + 1] << 4);
  }
}

// Two blocks of eight lanes of 32 elements.
INLINE f64x16 q4_k_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  k_affine choice = k_affine_search(x, weights, 32, 8, 15, 63);
  k_affine k = isUnbiased ? k_affine_unbiased(x, weights, 32, 8, 15, &choice) : choice;
  f64x16 error = {0};
  u8x16 codes[2][16];
  for (int h = 0; h < 2; h++) k_affine_codes(x + 16 * h, &choice, &k, 15, codes[h], &error);
  for (int b = 0; b < 2; b++) q4_k_store(blocks[b], (const u8x16 *[]){codes[0] + 8 * b, codes[1] + 8 * b}, &k, 8 * b);
  return error;
}
INLINE f64x16 q5_k_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  k_affine choice = k_affine_search(x, weights, 32, 8, 31, 63);
  k_affine k = isUnbiased ? k_affine_unbiased(x, weights, 32, 8, 31, &choice) : choice;
  f64x16 error = {0};
  u8x16 codes[2][16];
  for (int h = 0; h < 2; h++) k_affine_codes(x + 16 * h, &choice, &k, 31, codes[h], &error);
  for (int b = 0; b < 2; b++) q5_k_store(blocks[b], (const u8x16 *[]){codes[0] + 8 * b, codes[1] + 8 * b}, &k, 8 * b);
  return error;
}

ENCODE_GROUPS(q2_k, 16, 16, 84)
ENCODE_GROUPS(q3_k, 16, 16, 110)
ENCODE_GROUPS(q4_k, 32, 8, 144)
ENCODE_GROUPS(q5_k, 32, 8, 176)
ENCODE_GROUPS(q6_k, 16, 16, 210)
