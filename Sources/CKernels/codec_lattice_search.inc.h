// Scales of the IQ2 and IQ3 formats: x ≈ ± d · unit · m · value, d a half per block, m odd, 1 … 31, per lane.
//
// Every lane finds the scale it would like on the lattice itself. The block's d is then the one whose odd multiples come
// nearest to the wishes, each miss counted by what it costs the lane; under the stored d the lanes measure the two
// multiples around their wish, d is refitted to the codes, and they measure again.

enum { LATTICE_CODES = 8 };  // of a lane, at most

// A lane's points under a stored or a tried scale.
typedef struct {
  f32x16 error;  // weighted
  i32x16 codes[LATTICE_CODES];
} lattice_fit;

// Finds the points of every lane under `step`.
typedef void lattice_measure(const f32x16 *x, const f32x16 *weights, const f32x16 *step, lattice_fit *fit);

INLINE void lattice_measure_lane(lattice l, int elements, const f32x16 *x, const f32x16 *weights, f32x16 step,
                                 lattice_fit *fit) {
  fit->error = f32x16_splat(0);
  for (int k = 0; k < elements / l.dimensions; k += LATTICE_PAIR) {
    f32x16 costs[LATTICE_PAIR];
    const f32x16 *w = weights ? weights + k * l.dimensions : 0;
    lattice_nearest(l, x + k * l.dimensions, w, step, fit->codes + k, costs);
    fit->error += costs[0] + costs[1];
  }
}

INLINE void lattice_keep(i32x16 better, const lattice_fit *fit, lattice_fit *best) {
  best->error = f32x16_select(better, fit->error, best->error);
  for (int k = 0; k < LATTICE_CODES; k++)
    best->codes[k] = (fit->codes[k] & better) | (best->codes[k] & ~better);
}

// Σ w x q and Σ w q², which fit a scale to codes.
typedef struct {
  f32x16 xq, qq;
} lattice_sums;

INLINE lattice_sums lattice_sum(lattice l, int elements, const f32x16 *x, const f32x16 *weights, const lattice_fit *fit) {
  lattice_sums s = {f32x16_splat(0), f32x16_splat(0)};
  for (int j = 0; j < elements; j++) {
    f32x16 q = lattice_value(l, fit->codes[j / l.dimensions], j % l.dimensions), wq = weights ? weights[j] * q : q;
    s.xq = f32x16_fma(wq, x[j], s.xq);
    s.qq = f32x16_fma(wq, q, s.qq);
  }
  return s;
}

// The odd number 1 … 31 nearest to r.
INLINE f32x16 odd_nearest(f32x16 r) { return f32x16_round(f32x16_clamp(r * 0.5f - 0.5f, 0, 15)) * 2 + 1; }

// The unit (d · unit) whose odd multiples come nearest to the lanes' wishes, qq being what a miss costs.
INLINE f32x16 lattice_unit(f32x16 wish, f32x16 qq, int lanes) {
  f32x16 largest = block_extreme(wish, lanes), best = largest / 31, least = f32x16_splat(__builtin_inff());
  for (int k = 0; k < LATTICE_UNITS; k++) {
    f32x16 unit = largest / (33 - (float)k * LATTICE_UNIT_STEP);
    f32x16 e = wish - odd_nearest(wish * f32x16_reciprocal(unit)) * unit, cost = block_sum(qq * e * e, lanes);
    i32x16 better = cost < least;
    least = f32x16_select(better, cost, least);
    best = f32x16_select(better, unit, best);
  }
  return best;
}

typedef struct {
  f32x16 d, scale;  // scale: the odd multiple
  lattice_fit fit;
} lattice_choice;

INLINE lattice_choice lattice_search(lattice l, int elements, int lanes, float perUnit, const f32x16 *x,
                                     const f32x16 *weights, lattice_measure *measure) {
  f32x16 zero = f32x16_splat(0), infinity = f32x16_splat(__builtin_inff()), extreme = f32x16_abs(group_extreme(x, elements));
  f32x16 gain = f32x16_splat(-1), wish = extreme / l.values[l.levels - 1], qq = zero;
  lattice_fit fit = {zero, {{0}}};
  for (int k = 0; k < LATTICE_PLACES + LATTICE_REFITS; k++) {
    f32x16 step = k < LATTICE_PLACES ? extreme / (l.values[l.levels - 1] * lattice_places[k]) : wish;
    measure(x, weights, &step, &fit);
    lattice_sums s = lattice_sum(l, elements, x, weights, &fit);
    f32x16 scale = s.xq / s.qq, explained = scale * s.xq;
    i32x16 better = explained > gain;
    gain = f32x16_select(better, explained, gain);
    wish = f32x16_select(better, scale, wish);
    qq = f32x16_select(better, s.qq, qq);
  }
  lattice_choice best = {zero, f32x16_splat(1), {infinity, {{0}}}};
  f32x16 d = lattice_unit(wish, qq, lanes) * perUnit;
  for (int round = 0; round < LATTICE_ROUNDS; round++) {
    lattice_choice c = {f32x16_to_half_grid(d), f32x16_splat(1), {infinity, {{0}}}};
    f32x16 unit = c.d / perUnit, ratio = wish * f32x16_reciprocal(unit), m = odd_nearest(ratio);
    for (int side = 0; side < (round == 0 ? LATTICE_SIDES0 : LATTICE_SIDES1); side++) {
      if (side == 1) m = f32x16_clamp(m + f32x16_select(ratio > m, f32x16_splat(2), f32x16_splat(-2)), 1, 31);
      f32x16 step = unit * m;
      measure(x, weights, &step, &fit);
      i32x16 better = fit.error < c.fit.error;
      lattice_keep(better, &fit, &c.fit);
      c.scale = f32x16_select(better, m, c.scale);
    }
    i32x16 better = block_sum(c.fit.error, lanes) < block_sum(best.fit.error, lanes);
    best.d = f32x16_select(better, c.d, best.d);
    best.scale = f32x16_select(better, c.scale, best.scale);
    lattice_keep(better, &c.fit, &best.fit);
    if (round + 1 == LATTICE_ROUNDS) break;
    lattice_sums s = lattice_sum(l, elements, x, weights, &c.fit);
    d = block_sum(c.scale * s.xq, lanes) / block_sum(c.scale * c.scale * s.qq, lanes) * perUnit;
    wish = unit * c.scale;
  }
  return best;
}
