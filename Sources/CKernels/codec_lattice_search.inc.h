// Scales of the IQ2 and IQ3 formats: x ≈ ± d / parts · m · value, d a half per block, m odd, 1 … 31, per lane.
//
// Every lane finds the scale it would like, on the lattice itself. The block's d is then the one whose odd multiples come
// nearest to the wishes, each miss counted by what it costs the lane. Under the stored d the lanes measure the two
// multiples around their wish; d is refitted to the points found, and they measure once more.

enum { LATTICE_CODES = 8 };  // points of a lane, at most

// A lane's points under one scale.
typedef struct {
  f32x16 error;  // weighted
  i32x16 codes[LATTICE_CODES];
} lattice_fit;

// Finds the points of every lane under `step`. A call: the lookup is too much code to be inlined wherever it is needed.
typedef void lattice_measure(const f32x16 *x, const f32x16 *weights, const f32x16 *step, lattice_fit *fit);

INLINE void lattice_measure_lanes(lattice l, const f32x16 *x, const f32x16 *weights, f32x16 step, lattice_fit *fit) {
  fit->error = f32x16_splat(0);
  for (int k = 0; k < l.elements / l.dimensions; k += LATTICE_PAIR) {
    f32x16 costs[LATTICE_PAIR];
    int first = k * l.dimensions;
    lattice_nearest(l, x + first, weights + first, step, fit->codes + k, costs);
    fit->error += costs[0] + costs[1];
  }
}

INLINE void lattice_keep(i32x16 better, const lattice_fit *fit, lattice_fit *best) {
  best->error = f32x16_select(better, fit->error, best->error);
  for (int k = 0; k < LATTICE_CODES; k++)
    best->codes[k] = (fit->codes[k] & better) | (best->codes[k] & ~better);
}

// Σ w x q and Σ w q²: what fits a scale to points.
typedef struct {
  f32x16 xq, qq;
} lattice_sums;

INLINE lattice_sums lattice_sum(lattice l, const f32x16 *x, const f32x16 *weights, const lattice_fit *fit) {
  lattice_sums s = {f32x16_splat(0), f32x16_splat(0)};
  for (int j = 0; j < l.elements; j++) {
    f32x16 q = lattice_value(l, fit->codes[j / l.dimensions], j % l.dimensions), wq = weights[j] * q;
    s.xq = f32x16_fma(wq, x[j], s.xq);
    s.qq = f32x16_fma(wq, q, s.qq);
  }
  return s;
}

// A lane's wish for a scale, and Σ w q² there: what missing it costs.
typedef struct {
  f32x16 scale, qq;
} lattice_wish;

// Tries four scales and fits the best one to its points. They lie around the geometric mean of two guesses: that the
// largest element gets the highest level, and that the elements are Gaussian, which tells more where the large ones have
// little weight or are rare.
INLINE lattice_wish lattice_wishes(lattice l, const f32x16 *x, const f32x16 *weights, lattice_measure *measure) {
  static const float places[4] = {0.75f, 0.9f, 1.05f, 1.25f};
  f32x16 zero = f32x16_splat(0), largest = f32x16_abs(group_extreme(x, l.elements)), w = zero, xx = zero;
  for (int j = 0; j < l.elements; j++) {
    w += weights[j];
    xx = f32x16_fma(weights[j] * x[j], x[j], xx);
  }
  f32x16 usual = __builtin_elementwise_sqrt(xx / w) * (l.elements == 32 ? 2.1f : 1.8f);
  f32x16 top = __builtin_elementwise_sqrt(usual * largest) / l.values[l.levels - 1], gain = f32x16_splat(-1);
  lattice_wish wish = {largest / l.values[l.levels - 1], zero};
  for (int k = 0; k < 4; k++) {
    lattice_fit fit = {zero, {{0}}};
    f32x16 step = top / places[k];
    measure(x, weights, &step, &fit);
    lattice_sums s = lattice_sum(l, x, weights, &fit);
    f32x16 scale = f32x16_max(s.xq / s.qq, zero), explained = scale * s.xq;
    i32x16 better = explained > gain;
    gain = f32x16_select(better, explained, gain);
    wish.scale = f32x16_select(better, scale, wish.scale);
    wish.qq = f32x16_select(better, s.qq, wish.qq);
  }
  return wish;
}

// The odd number 1 … 31 nearest to r.
INLINE f32x16 odd_nearest(f32x16 r) { return f32x16_round(f32x16_clamp(r * 0.5f - 0.5f, 0, 15)) * 2 + 1; }

// The part of d whose odd multiples come nearest to the wishes. The largest wish is tried as the 33rd down to the 21st
// part: beyond the last multiple it costs itself a little, before it the others get less room.
INLINE f32x16 lattice_part(lattice l, lattice_wish wish) {
  f32x16 largest = block_extreme(wish.scale, l.lanes), best = largest / 31, least = f32x16_splat(__builtin_inff());
  for (int k = 0; k < 16; k++) {
    f32x16 part = largest / (33 - 0.8f * (float)k);
    f32x16 e = wish.scale - odd_nearest(wish.scale * f32x16_reciprocal(part)) * part;
    f32x16 cost = block_sum(wish.qq * e * e, l.lanes);
    i32x16 better = cost < least;
    least = f32x16_select(better, cost, least);
    best = f32x16_select(better, part, best);
  }
  return best;
}

typedef struct {
  f32x16 d, multiple;
  lattice_fit fit;
} lattice_choice;

INLINE lattice_choice lattice_search(lattice l, const f32x16 *x, const f32x16 *weights, lattice_measure *measure) {
  lattice_choice none = {f32x16_splat(0), f32x16_splat(1), {f32x16_splat(__builtin_inff()), {{0}}}}, best = none;
  lattice_wish wish = lattice_wishes(l, x, weights, measure);
  f32x16 d = lattice_part(l, wish) * l.parts;
  for (int round = 0; round < 2; round++) {
    lattice_choice c = none;
    c.d = f32x16_to_half_grid(d);
    f32x16 part = c.d / l.parts, ratio = wish.scale * f32x16_reciprocal(part), m = odd_nearest(ratio);
    // The second round keeps the multiples.
    for (int side = 0; side < 2 - round; side++) {
      if (side == 1) m = f32x16_clamp(m + f32x16_select(ratio > m, f32x16_splat(2), f32x16_splat(-2)), 1, 31);
      lattice_fit fit = {f32x16_splat(0), {{0}}};
      f32x16 step = part * m;
      measure(x, weights, &step, &fit);
      i32x16 better = fit.error < c.fit.error;
      lattice_keep(better, &fit, &c.fit);
      c.multiple = f32x16_select(better, m, c.multiple);
    }
    i32x16 better = block_sum(c.fit.error, l.lanes) < block_sum(best.fit.error, l.lanes);
    best.d = f32x16_select(better, c.d, best.d);
    best.multiple = f32x16_select(better, c.multiple, best.multiple);
    lattice_keep(better, &c.fit, &best.fit);
    if (round == 1) break;
    lattice_sums s = lattice_sum(l, x, weights, &c.fit);
    d = block_sum(c.multiple * s.xq, l.lanes) / block_sum(c.multiple * c.multiple * s.qq, l.lanes) * l.parts;
    wish.scale = d / l.parts * c.multiple;
  }
  return best;
}
