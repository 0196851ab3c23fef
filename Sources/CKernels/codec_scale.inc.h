// Scale searches over sixteen blocks at once (codec_group.inc.h): lane b is block b's own search.
//
// A search proposes scales from cheap sums, then measures the true squared error of a few scales as they would be
// stored, each with the codes nearest under it. The scale that ggml's encoder stores is always measured first, and for
// a stored scale the nearest codes are the best, so no block ends up worse than ggml's.

typedef struct {
  f32x16 scale, offset;  // x ≈ scale · code + offset
  f32x16 error;          // weighted squared error
} scale_choice;

INLINE f32x16 f32x16_reciprocal(f32x16 d) {
  return f32x16_select(d == f32x16_splat(0), f32x16_splat(0), f32x16_splat(1) / d);
}
INLINE f32x16 f32x16_clamp(f32x16 x, float low, float high) {
  return f32x16_min(f32x16_max(x, f32x16_splat(low)), f32x16_splat(high));
}
// The nearest finite half.
INLINE f32x16 f32x16_to_half_grid(f32x16 x) { return f32x16_from_half(half_from_f32x16(f32x16_clamp(x, -65504, 65504))); }
INLINE f32x16 code_nearest(f32x16 scaled, float low, float high) { return f32x16_round(f32x16_clamp(scaled, low, high)); }
// Clang would fold a bound that it knows into what follows: a comparison and a blend in place of a minimum.
INLINE float hidden(float bound) {
  __asm__("" : "+r"(bound));
  return bound;
}
// The code nearest to x · inverse. Rounded before it is clamped, which leaves one operation for product and rounding.
INLINE f32x16 code_of(f32x16 x, f32x16 inverse, float low, float high) {
  const float magic = 12582912;  // see f32x16_round
  return f32x16_clamp(f32x16_fma(x, inverse, f32x16_splat(magic)), magic + low, hidden(magic + high)) - magic;
}

// The element of largest magnitude, with its sign; the first of equals. `elements` is a multiple of four.
INLINE f32x16 group_extreme(const f32x16 *x, int elements) {
  f32x16 most4[4], least4[4];
  for (int k = 0; k < 4; k++) most4[k] = least4[k] = x[k];
  for (int j = 4; j < elements; j++) {
    most4[j % 4] = f32x16_max(x[j], most4[j % 4]);
    least4[j % 4] = f32x16_min(x[j], least4[j % 4]);
  }
  f32x16 most = f32x16_max(f32x16_max(most4[3], most4[2]), f32x16_max(most4[1], most4[0]));
  f32x16 least = f32x16_min(f32x16_min(least4[3], least4[2]), f32x16_min(least4[1], least4[0]));
  f32x16 extreme = f32x16_select(most > -least, most, least);
  // Equally far to both sides, which is rare: only then who comes first must be looked for.
  if (i32x16_sum((most == -least) & (most != 0)) == 0) return extreme;
  f32x16 best = f32x16_abs(extreme);
  for (int j = elements - 1; j >= 0; j--) extreme = f32x16_select(f32x16_abs(x[j]) == best, x[j], extreme);
  return extreme;
}

INLINE void choice_keep(scale_choice *best, f32x16 scale, f32x16 offset, f32x16 error) {
  i32x16 better = error < best->error;
  best->scale = f32x16_select(better, scale, best->scale);
  best->offset = f32x16_select(better, offset, best->offset);
  best->error = f32x16_select(better, error, best->error);
}

// x ≈ step · code, low ≤ code ≤ high: sums over a lane for codes under a fixed step, and their weighted error.
typedef struct {
  f32x16 error, xq, qq;
} symmetric_sums;

INLINE symmetric_sums symmetric_sum(const f32x16 *x, const f32x16 *weights, int elements, float low, float high, f32x16 step) {
  f32x16 inverse = f32x16_reciprocal(step);
  symmetric_sums s = {f32x16_splat(0), f32x16_splat(0), f32x16_splat(0)};
  for (int j = 0; j < elements; j++) {
    f32x16 q = code_of(x[j], inverse, low, high), e = f32x16_fma(-q, step, x[j]);
    f32x16 wq = weights ? weights[j] * q : q, we = weights ? weights[j] * e : e;
    s.error = f32x16_fma(we, e, s.error);
    s.xq = f32x16_fma(wq, x[j], s.xq);
    s.qq = f32x16_fma(wq, q, s.qq);
  }
  return s;
}

// Proposes a scale: codes for `inverse`, the scale that fits them, and what it would explain of the sum of squares.
INLINE void symmetric_propose(const f32x16 *x, const f32x16 *weights, int elements, float low, float high, f32x16 inverse,
                              f32x16 *bestGain, f32x16 *bestScale) {
  f32x16 xq = f32x16_splat(0), qq = xq;
  for (int j = 0; j < elements; j++) {
    f32x16 q = code_of(x[j], inverse, low, high), wq = weights ? weights[j] * q : q;
    xq = f32x16_fma(wq, x[j], xq);
    qq = f32x16_fma(wq, q, qq);
  }
  f32x16 scale = xq / qq, gain = scale * xq;
  i32x16 better = gain > *bestGain;
  *bestGain = f32x16_select(better, gain, *bestGain);
  *bestScale = f32x16_select(better, scale, *bestScale);
}

// x ≈ scale · code + offset, 0 ≤ code ≤ high. Measures a stored scale and offset; refits both to the codes.
INLINE void affine_measure(const f32x16 *x, const f32x16 *weights, int elements, float high, f32x16 *scale, f32x16 *offset,
                           scale_choice *best) {
  f32x16 inverse = f32x16_reciprocal(*scale), zero = f32x16_splat(0);
  f32x16 error = zero, sw = zero, sq = zero, qq = zero, se = zero, eq = zero;
  for (int j = 0; j < elements; j++) {
    f32x16 q = code_of(x[j] - *offset, inverse, 0, high), e = x[j] - f32x16_fma(q, *scale, *offset);
    f32x16 w = weights ? weights[j] : f32x16_splat(1), wq = weights ? w * q : q, we = weights ? w * e : e;
    error = f32x16_fma(we, e, error);
    sw += w;
    sq += wq;
    qq = f32x16_fma(wq, q, qq);
    se += we;
    eq = f32x16_fma(we, q, eq);
  }
  choice_keep(best, *scale, *offset, error);
  // The residual is fitted, not x itself, so that a large offset does not drown the sums.
  f32x16 determinant = sw * qq - sq * sq;
  f32x16 dScale = (sw * eq - sq * se) / determinant, dOffset = (qq * se - sq * eq) / determinant;
  i32x16 regular = determinant > zero;
  *scale += f32x16_select(regular, dScale, zero);
  *offset += f32x16_select(regular, dOffset, zero);
}

// Per block of `lanes` lanes, the operation over its lanes in every one of them.
INLINE f32x16 block_sum(f32x16 v, int lanes) {
  if (lanes == 1) return v;
  f32x16 out;
  for (int first = 0; first < 16; first += lanes) {
    float s = 0;
    for (int b = first; b < first + lanes; b++) s += v[b];
    for (int b = first; b < first + lanes; b++) out[b] = s;
  }
  return out;
}
// The value of largest magnitude, the first of equals.
INLINE f32x16 block_extreme(f32x16 v, int lanes) {
  f32x16 out;
  for (int first = 0; first < 16; first += lanes) {
    float extreme = v[first];
    for (int b = first + 1; b < first + lanes; b++)
      if (__builtin_fabsf(v[b]) > __builtin_fabsf(extreme)) extreme = v[b];
    for (int b = first; b < first + lanes; b++) out[b] = extreme;
  }
  return out;
}
