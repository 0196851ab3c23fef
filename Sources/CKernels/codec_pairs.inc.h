// Proposals of a scale in integers: two elements to a lane, half the work of floats. They only choose what is measured in
// floats afterwards.

#if defined(ISA_AVX2) || defined(ISA_AVX512)
#include <immintrin.h>
#endif

// sums + the products of both elements of each lane.
INLINE i32x16 pairs_dot(i32x16 sums, i16x32 a, i16x32 b) {
#if defined(ISA_AVX512)
  // As a built-in function, Clang would make two instructions of it.
  __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
#elif defined(ISA_AVX2)
  typedef union {
    i16x32 whole;
    i32x16 sums;
    __m256i halves[2];
  } halves;
  halves x = {a}, y = {b}, products;
  for (int i = 0; i < 2; i++) products.halves[i] = _mm256_madd_epi16(x.halves[i], y.halves[i]);
  return sums + products.sums;
#else
  i32x16 x = (i32x16)a, y = (i32x16)b;
  return sums + (x << 16 >> 16) * (y << 16 >> 16) + (x >> 16) * (y >> 16);
#endif
}

// (a · b) >> 16.
INLINE i16x32 pairs_high_product(i16x32 a, i16x32 b) {
  i32x32 product = __builtin_convertvector(a, i32x32) * __builtin_convertvector(b, i32x32);
  return __builtin_convertvector(product >> 16, i16x32);
}

// The whole numbers of 16 bits, with their sign, nearest to both products, in each lane: the last bits of what the magic
// number of f32x16_round leaves.
INLINE i16x32 pairs_of(f32x16 first, f32x16 second, f32x16 factor) {
  f32x16 magic = f32x16_splat(12582912);
  i32x16 low = (i32x16)f32x16_fma(first, factor, magic), high = (i32x16)f32x16_fma(second, factor, magic);
  return (i16x32)((low & 0xffff) | high << 16);
}

// Up to 32 elements a lane. x in units of which the lane's extreme is just above −2^15; with weights also those, the largest just
// below 2^(16 − codeBits) so that a code times a weight fits, and x times a weight.
typedef struct {
  i16x32 x[16], weights[16], weighted[16];
  f32x16 unit;  // of the quotient of a proposal's sums, a scale
} pairs;

INLINE void pairs_load(const f32x16 *x, const f32x16 *weights, int elements, int codeBits, f32x16 extreme, pairs *p) {
  f32x16 perUnit = f32x16_reciprocal(extreme) * -32767;
  for (int j = 0; j < elements; j += 2) p->x[j / 2] = pairs_of(x[j], x[j + 1], perUnit);
  p->unit = extreme / -32767;
  if (!weights) return;
  f32x16 most = weights[0], least = most;
  for (int j = 1; j < elements; j++) {
    most = f32x16_max(weights[j], most);
    least = f32x16_min(weights[j], least);
  }
  // A lane with equal weights is summed as it would be without.
  i16x32 equal = (i16x32)(most == least);
  float limit = (float)((1 << (16 - codeBits)) - 1);
  f32x16 perWeight = f32x16_reciprocal(most) * limit;
  for (int j = 0; j < elements / 2; j++) {
    p->weights[j] = pairs_of(weights[2 * j], weights[2 * j + 1], perWeight);
    p->weighted[j] = (pairs_high_product(p->x[j], p->weights[j] << (codeBits - 1)) & ~equal) | (p->x[j] & equal);
    p->weights[j] = (p->weights[j] & ~equal) - equal;
  }
  p->unit = f32x16_select((i32x16)equal, p->unit, p->unit * (float)(1 << (17 - codeBits)));
}

// What a proposal's codes explain of the sum of squares, and the scale that fits them.
typedef struct {
  f32x16 gain, scale;
} pairs_choice;

// Codes are 16-bit numbers whose upper bits are the code: −2^15 is the lowest level, and adding saturates at both ends.
// The extreme goes to `place` times the lowest level, 0.5 < place < 1.5; a negative `side` gives the scale its other sign.
INLINE void pairs_propose(const pairs *p, int isWeighted, int elements, int codeBits, float place, int side,
                          pairs_choice *best) {
  i16x32 zero = {0}, half = zero + (int16_t)(1 << (15 - codeBits)), more = zero + (int16_t)((place - 1) * 65536);
  i32x16 xq = {0}, qq = {0};
  for (int j = 0; j < elements / 2; j++) {
    i16x32 x = side < 0 ? __builtin_elementwise_sub_sat(zero, p->x[j]) : p->x[j];
    i16x32 scaled = __builtin_elementwise_add_sat(x, pairs_high_product(x, more));
    i16x32 q = __builtin_elementwise_add_sat(scaled, half) >> (16 - codeBits);
    xq = pairs_dot(xq, q, isWeighted ? p->weighted[j] : p->x[j]);
    qq = pairs_dot(qq, q, isWeighted ? q * p->weights[j] : q);
  }
  f32x16 dot = f32x16_from_i32(xq), scale = dot / f32x16_from_i32(qq), gain = scale * dot;
  i32x16 better = gain > best->gain;
  best->gain = f32x16_select(better, gain, best->gain);
  best->scale = f32x16_select(better, scale, best->scale);
}
