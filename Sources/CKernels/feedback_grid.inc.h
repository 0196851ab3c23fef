// The grids of the block formats as error feedback sees them, sixteen rows at once: lane r is row r of the group.
#include "include/ckernels_feedback.h"

typedef struct {
  int elements;               // that share a scale
  int subs;                   // groups of these in a block; 1: the scale is a half, else integers beside a half
  float low, high;            // least and greatest code
  int isUneven, isAffine;     // the levels of IQ4; with a minimum
  float scaleLow, scaleHigh;  // of the integer scales (and minima, from 0)
} feedback_grid;

// What has been decided for a group of rows.
typedef struct {
  f32x16 *target, *delta;  // [column]: w, and w − ŵ
  u8x16 *codes;            // [column]: counted from zero
  f32x16 *scale, *minimum; // [group of elements]: the integers of the K formats
  f32x16 *d, *dmin;        // [block]: halves; for Q4_1 and Q5_1 dmin is the offset itself
} feedback_state;

INLINE f32x16 grid_nearest(feedback_grid g, f32x16 t) {
  return g.isUneven ? iq4_level(t) : code_nearest(t, g.low, g.high);
}

// What a walk over the elements of one scale found: its error, and sums (each weighted by D) that refit the scale.
typedef struct {
  f32x16 loss, q, qq, tq, t;
} walk_sums;

// Rounds `elements` columns in order, each error fed to the columns after it. factor, diagonal: at the first of these
// columns (factor with stride 32); base: targets with the feedback of all columns before. delta and codes may be null.
INLINE walk_sums feedback_walk(feedback_grid g, const float *factor, const float *diagonal, const f32x16 *base,
                               const f32x16 *target, f32x16 step, f32x16 offset, f32x16 *delta, u8x16 *codes) {
  f32x16 t[32], inverse = f32x16_reciprocal(step), zero = f32x16_splat(0);
  walk_sums sums = {zero, zero, zero, zero, zero};
  for (int c = 0; c < g.elements; c++) t[c] = base[c];
  for (int c = 0; c < g.elements; c++) {
    f32x16 scaled = g.isAffine ? (t[c] - offset) * inverse : t[c] * inverse, q;
    if (g.isUneven) {
      iq4_choice choice = iq4_nearest(scaled);
      q = f32x16_from_i32(__builtin_convertvector(choice.level, i32x16));
      if (codes) codes[c] = __builtin_convertvector(choice.code, u8x16);
    } else {
      q = code_nearest(scaled, g.low, g.high);
      if (codes) codes[c] = __builtin_convertvector(i32x16_from_f32(q - g.low), u8x16);
    }
    f32x16 value = g.isAffine ? q * step + offset : q * step, rest = t[c] - value, error = target[c] - value;
    f32x16 weighted = rest * diagonal[c], wq = q * diagonal[c];
    sums.loss = f32x16_fma(weighted, rest, sums.loss);
    sums.qq = f32x16_fma(wq, q, sums.qq);
    sums.tq = f32x16_fma(wq, t[c], sums.tq);
    if (g.isAffine) {
      sums.q += wq;
      sums.t = f32x16_fma(t[c], f32x16_splat(diagonal[c]), sums.t);
    }
    if (delta) delta[c] = error;
    const float *row = factor + 32 * c;
    for (int i = c + 1; i < g.elements; i++) t[i] = f32x16_fma(error, f32x16_splat(row[i]), t[i]);
  }
  return sums;
}

// base += Σ_j delta[j] · panel[j], j from `from` to `to`, for `elements` (a multiple of 4) columns of a panel.
INLINE void feedback_extend(const float *panel, size_t from, size_t to, const f32x16 *delta, int elements, f32x16 *base) {
  for (int e = 0; e < elements; e += 4) {
    f32x16 a = base[e], b = base[e + 1], c = base[e + 2], d = base[e + 3];
    for (size_t j = from; j < to; j++) {
      const float *row = panel + 32 * j + e;
      f32x16 x = delta[j];
      a = f32x16_fma(x, f32x16_splat(row[0]), a);
      b = f32x16_fma(x, f32x16_splat(row[1]), b);
      c = f32x16_fma(x, f32x16_splat(row[2]), c);
      d = f32x16_fma(x, f32x16_splat(row[3]), d);
    }
    base[e] = a, base[e + 1] = b, base[e + 2] = c, base[e + 3] = d;
  }
}

// The panel of the factor that holds `column`, at that column; rows have stride 32.
INLINE const float *factor_panel(const quern_feedback *a, size_t column) {
  size_t p = column / 32;
  return a->factor + 512 * p * (p + 1) + column % 32;
}

INLINE void walk_keep(walk_sums *best, f32x16 *step, f32x16 *offset, walk_sums s, f32x16 stepTried, f32x16 offsetTried) {
  i32x16 better = s.loss < best->loss;
  best->loss = f32x16_select(better, s.loss, best->loss);
  best->q = f32x16_select(better, s.q, best->q);
  best->qq = f32x16_select(better, s.qq, best->qq);
  best->tq = f32x16_select(better, s.tq, best->tq);
  best->t = f32x16_select(better, s.t, best->t);
  *step = f32x16_select(better, stepTried, *step);
  *offset = f32x16_select(better, offsetTried, *offset);
}
INLINE walk_sums walk_nothing(void) {
  f32x16 zero = f32x16_splat(0);
  return (walk_sums){f32x16_splat(__builtin_inff()), zero, zero, zero, zero};
}
