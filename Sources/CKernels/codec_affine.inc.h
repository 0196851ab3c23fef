// Q4_1, Q5_1: halves d and m and unsigned codes; x = code · d + m.
//
//   Q4_1  20 bytes  { f16 d; f16 m; u8 nibbles[16] }
//   Q5_1  24 bytes  { f16 d; f16 m; u32 fifth; u8 nibbles[16] }   nibbles and fifth bits as in Q4_0 and Q5_0

static void PASTE(decode_q4_1, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 20) {
    f32x16 d = f32x16_splat(load_f16(blocks)), m = f32x16_splat(load_f16(blocks + 2));
    u8x16 nibbles = u8x16_load(blocks + 4);
    f32x16_store(out + i, f32x16_from_u8(nibbles & 15) * d + m);
    f32x16_store(out + i + 16, f32x16_from_u8(nibbles >> 4) * d + m);
  }
}

static void PASTE(decode_q5_1, ISA)(const uint8_t *blocks, float *out, size_t count) {
  for (size_t i = 0; i < count; i += 32, blocks += 24) {
    f32x16 d = f32x16_splat(load_f16(blocks)), m = f32x16_splat(load_f16(blocks + 2));
    uint32_t fifth = load_u32(blocks + 4);
    u8x16 nibbles = u8x16_load(blocks + 8);
    i32x16 low = __builtin_convertvector(nibbles & 15, i32x16) | fifth_bits(fifth, 0);
    i32x16 high = __builtin_convertvector(nibbles >> 4, i32x16) | fifth_bits(fifth, 16);
    f32x16_store(out + i, f32x16_from_i32(low) * d + m);
    f32x16_store(out + i + 16, f32x16_from_i32(high) * d + m);
  }
}

// Proposes from the codes of (scale, offset): the pair that fits them best, if it explains more than *gain of the
// weighted variance of x. `above` is x less its least element, so that a large offset does not drown the sums.
typedef struct {
  f32x16 weight, sum;           // Σw, Σw·above
  f32x16 gain, scale, offset;   // the best so far; offset is relative to the least element
} affine_proposal;

INLINE void affine_propose(const f32x16 *above, const f32x16 *weights, int elements, float high, f32x16 scale, f32x16 offset,
                           affine_proposal *best) {
  f32x16 inverse = f32x16_reciprocal(scale), sq = f32x16_splat(0), qq = sq, xq = sq;
  for (int j = 0; j < elements; j++) {
    f32x16 q = code_of(above[j] - offset, inverse, 0, high), wq = weights ? weights[j] * q : q;
    sq += wq;
    qq = f32x16_fma(wq, q, qq);
    xq = f32x16_fma(wq, above[j], xq);
  }
  f32x16 determinant = best->weight * qq - sq * sq, covariance = best->weight * xq - best->sum * sq;
  f32x16 fitted = covariance / determinant, gain = fitted * covariance;
  i32x16 better = gain > best->gain;
  best->gain = f32x16_select(better, gain, best->gain);
  best->scale = f32x16_select(better, fitted, best->scale);
  best->offset = f32x16_select(better, (best->sum - fitted * sq) / best->weight, best->offset);
}

// Proposals for codes over `range`, which begins at zero: a little narrower and wider, anchored at either end.
INLINE void affine_proposals(const f32x16 *above, const f32x16 *weights, int elements, float high, f32x16 range,
                             affine_proposal *best) {
  for (int j = 0; j < elements; j++) {
    best->weight += weights ? weights[j] : f32x16_splat(1);
    best->sum += weights ? weights[j] * above[j] : above[j];
  }
  for (int step = -3; step <= 3; step++) {
    f32x16 scale = range / (high + 0.35f * (float)step);
    affine_propose(above, weights, elements, high, scale, f32x16_splat(0), best);
    affine_propose(above, weights, elements, high, scale, range - scale * high, best);
  }
}

// ggml spreads the codes from the least to the greatest element. Ranges about that are proposed, and the best is refitted
// against its own codes.
INLINE scale_choice affine_search(const f32x16 *x, const f32x16 *weights, int elements, float high) {
  f32x16 least = x[0], greatest = x[0];
  for (int j = 1; j < elements; j++) {
    least = f32x16_min(x[j], least);
    greatest = f32x16_max(x[j], greatest);
  }
  f32x16 range = greatest - least, plain = range / high;
  f32x16 scale = f32x16_to_half_grid(plain), offset = f32x16_to_half_grid(least);
  scale_choice best = {scale, offset, f32x16_splat(__builtin_inff())};
  affine_measure(x, weights, elements, high, &scale, &offset, &best);

  f32x16 above[32];
  affine_proposal proposal = {f32x16_splat(0), f32x16_splat(0), f32x16_splat(-1), scale, offset - least};
  for (int j = 0; j < elements; j++) above[j] = x[j] - least;
  affine_proposals(above, weights, elements, high, range, &proposal);
  scale = proposal.scale;
  offset = least + proposal.offset;
  for (int round = 0; round < 2; round++) {
    scale = f32x16_to_half_grid(scale);
    offset = f32x16_to_half_grid(offset);
    affine_measure(x, weights, elements, high, &scale, &offset, &best);
  }
  return best;
}

INLINE i32x16 affine_code(f32x16 x, const scale_choice *choice, f32x16 inverse, float high, f64x16 *error) {
  f32x16 q = code_of(x - choice->offset, inverse, 0, high), e = x - f32x16_fma(q, choice->scale, choice->offset);
  f64x16 wide = f64x16_from_f32(e);  // squares of floats would leave their range
  *error += wide * wide;
  return i32x16_from_f32(q);
}

INLINE f64x16 q4_1_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  (void)isUnbiased;
  scale_choice best = affine_search(x, weights, 32, 15);
  f32x16 inverse = f32x16_reciprocal(best.scale);
  f64x16 error = {0};
  u8x16 codes[32];
  for (int j = 0; j < 32; j++) codes[j] = __builtin_convertvector(affine_code(x[j], &best, inverse, 15, &error), u8x16);
  group_store_u16(blocks, 0, half_from_f32x16(best.scale));
  group_store_u16(blocks, 2, half_from_f32x16(best.offset));
  nibbles_store(blocks, 4, codes);
  return error;
}

INLINE f64x16 q5_1_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {
  (void)isUnbiased;
  scale_choice best = affine_search(x, weights, 32, 31);
  f32x16 inverse = f32x16_reciprocal(best.scale);
  f64x16 error = {0};
  u8x16 codes[32];
  for (int j = 0; j < 32; j++) codes[j] = __builtin_convertvector(affine_code(x[j], &best, inverse, 31, &error), u8x16);
  group_store_u16(blocks, 0, half_from_f32x16(best.scale));
  group_store_u16(blocks, 2, half_from_f32x16(best.offset));
  fifths_store(blocks, 4, codes);
  nibbles_store(blocks, 8, codes);
  return error;
}

ENCODE_GROUPS(q4_1, 32, 1, 20)
ENCODE_GROUPS(q5_1, 32, 1, 24)
