// Scales under error feedback: cheap static fits propose, walks with the feedback inside decide.

// Where the extreme element is put: `count` places around an end of the codes.
INLINE f32x16 symmetric_fit(feedback_grid g, const f32x16 *x, const f32x16 *weights, f32x16 inverse, f32x16 *gain) {
  f32x16 xq = f32x16_splat(0), qq = xq;
  for (int j = 0; j < g.elements; j++) {
    f32x16 q = grid_nearest(g, x[j] * inverse), wq = weights[j] * q;
    xq += wq * x[j];
    qq += wq * q;
  }
  f32x16 scale = xq / qq;
  *gain = scale * xq;
  return scale;
}

INLINE void spread(const float *diagonal, int elements, f32x16 *weights) {
  for (int j = 0; j < elements; j++) weights[j] = f32x16_splat(diagonal[j]);
}

// Candidate places of the extreme element, in codes: seven around the lowest code, seven around its mirror.
INLINE float extreme_place(feedback_grid g, int index) {
  int side = index & 1, step = (index >> 1) - 3;
  if (g.isUneven) return (side ? 113.0f : -127.0f) * (1 + 0.045f * (float)step);
  float unit = g.low <= -64 ? 0.5f : g.low <= -16 ? 0.5f : g.low <= -8 ? 0.3f : 0.25f;
  float place = g.low + unit * (float)step;
  return side ? -place : place;
}

// A half scale for codes without a minimum.
INLINE void half_symmetric(feedback_grid g, const float *factor, const float *diagonal, const f32x16 *base,
                           const f32x16 *target, f32x16 *d) {
  f32x16 weights[32], zero = f32x16_splat(0), none, best = zero;
  spread(diagonal, g.elements, weights);
  f32x16 perExtreme = f32x16_reciprocal(group_extreme(base, g.elements));
  walk_sums kept = walk_nothing();
  for (int index = 0; index < 14; index++) {
    f32x16 gain, scale = symmetric_fit(g, base, weights, perExtreme * extreme_place(g, index), &gain);
    scale = f32x16_to_half_grid(scale);
    walk_keep(&kept, &best, &none, feedback_walk(g, factor, diagonal, base, target, scale, zero, 0, 0), scale, zero);
  }
  for (int round = 0; round < 2; round++) {
    f32x16 scale = f32x16_to_half_grid(kept.tq / kept.qq);
    walk_keep(&kept, &best, &none, feedback_walk(g, factor, diagonal, base, target, scale, zero, 0, 0), scale, zero);
  }
  *d = best;
}

// A half scale and a half offset.
INLINE void half_affine(feedback_grid g, const float *factor, const float *diagonal, const f32x16 *base,
                        const f32x16 *target, f32x16 *d, f32x16 *m) {
  f32x16 weights[32], above[32], zero = f32x16_splat(0);
  spread(diagonal, g.elements, weights);
  f32x16 least = base[0], greatest = base[0], sum = zero, weight = zero;
  for (int j = 1; j < g.elements; j++) {
    least = f32x16_min(base[j], least);
    greatest = f32x16_max(base[j], greatest);
  }
  for (int j = 0; j < g.elements; j++) {
    above[j] = base[j] - least;
    weight += weights[j];
    sum += weights[j] * above[j];
  }
  f32x16 range = greatest - least;
  walk_sums kept = walk_nothing();
  *d = zero;
  *m = zero;
  for (int index = -6; index < 8; index++) {
    f32x16 scale = range / (g.high + 0.3f * (float)(index / 2));
    affine_proposal proposal = {weight, sum, f32x16_splat(-1), scale, zero};
    affine_propose(above, weights, g.elements, g.high, scale, index & 1 ? range - scale * g.high : zero, &proposal);
    scale = f32x16_to_half_grid(proposal.scale);
    f32x16 offset = f32x16_to_half_grid(least + proposal.offset);
    walk_keep(&kept, d, m, feedback_walk(g, factor, diagonal, base, target, scale, offset, 0, 0), scale, offset);
  }
  for (int round = 0; round < 2; round++) {
    f32x16 determinant = weight * kept.qq - kept.q * kept.q;
    f32x16 fitted = (weight * kept.tq - kept.q * kept.t) / determinant;
    f32x16 scale = f32x16_select(determinant > zero, fitted, *d);
    f32x16 offset = f32x16_to_half_grid((kept.t - scale * kept.q) / weight);
    scale = f32x16_to_half_grid(scale);
    walk_keep(&kept, d, m, feedback_walk(g, factor, diagonal, base, target, scale, offset, 0, 0), scale, offset);
  }
}

// The float scale that elements without feedback would like.
INLINE f32x16 symmetric_wish(feedback_grid g, const float *diagonal, const f32x16 *base) {
  f32x16 weights[32], wish = f32x16_splat(0), most = f32x16_splat(-1);
  spread(diagonal, g.elements, weights);
  f32x16 perExtreme = f32x16_reciprocal(group_extreme(base, g.elements));
  for (int index = 2; index < 12; index++) {
    f32x16 gain, scale = symmetric_fit(g, base, weights, perExtreme * extreme_place(g, index), &gain);
    i32x16 better = gain > most;
    most = f32x16_select(better, gain, most);
    wish = f32x16_select(better, scale, wish);
  }
  return wish;
}

// The float scale and minimum (x ≈ scale · q − minimum, minimum ≥ 0) that elements without feedback would like.
INLINE f32x16 affine_wish(feedback_grid g, const float *diagonal, const f32x16 *base, f32x16 *minimum) {
  f32x16 weights[32], above[32], zero = f32x16_splat(0), least = zero, greatest = zero;
  spread(diagonal, g.elements, weights);
  for (int j = 0; j < g.elements; j++) {
    least = f32x16_min(base[j], least);
    greatest = f32x16_max(base[j], greatest);
  }
  for (int j = 0; j < g.elements; j++) above[j] = base[j] - least;
  f32x16 range = greatest - least;
  affine_proposal proposal = {zero, zero, f32x16_splat(-1), range / g.high, zero};
  affine_proposals(above, weights, g.elements, g.high, range, &proposal);
  f32x16 below = -(least + proposal.offset);
  i32x16 positive = below < zero;
  *minimum = f32x16_select(positive, zero, below);
  return f32x16_select(positive, range / g.high, proposal.scale);
}

// What one try at a block of `subs` groups decided; copied lane by lane into the best so far.
typedef struct {
  f32x16 delta[256], scale[16], minimum[16], d, dmin, loss;
  u8x16 codes[256];
} block_try;

INLINE void try_keep(feedback_grid g, block_try *best, const block_try *now) {
  i32x16 better = now->loss < best->loss;
  u8x16 mask = __builtin_convertvector(better, u8x16);
  for (int c = 0; c < g.elements * g.subs; c++) {
    best->delta[c] = f32x16_select(better, now->delta[c], best->delta[c]);
    best->codes[c] = (now->codes[c] & mask) | (best->codes[c] & ~mask);
  }
  for (int s = 0; s < g.subs; s++) {
    best->scale[s] = f32x16_select(better, now->scale[s], best->scale[s]);
    best->minimum[s] = f32x16_select(better, now->minimum[s], best->minimum[s]);
  }
  best->d = f32x16_select(better, now->d, best->d);
  best->dmin = f32x16_select(better, now->dmin, best->dmin);
  best->loss = f32x16_select(better, now->loss, best->loss);
}

// One try at a K block under now->d (and dmin): `base` has the feedback of all columns before the block. Leaves the
// halves that would fit the codes best in *d and *dmin.
INLINE void k_try(feedback_grid g, const quern_feedback *a, size_t first, const f32x16 *base, const f32x16 *target,
                  block_try *now, f32x16 *d, f32x16 *dmin) {
  f32x16 zero = f32x16_splat(0), perD = f32x16_reciprocal(now->d), perMin = f32x16_reciprocal(now->dmin);
  f32x16 aa = zero, ab = zero, bb = zero, xa = zero, xb = zero;
  now->loss = zero;
  for (int s = 0; s < g.subs; s++) {
    int c0 = s * g.elements;
    size_t column = first + (size_t)c0;
    const float *panel = factor_panel(a, column), *factor = panel + 32 * column, *diagonal = a->diagonal + column;
    f32x16 x[32], step, offset;
    for (int c = 0; c < g.elements; c++) x[c] = base[c0 + c];
    feedback_extend(panel + 32 * first, 0, (size_t)c0, now->delta, g.elements, x);
    walk_sums kept = walk_nothing();
    if (g.isAffine) {
      f32x16 minimumWish, scaleWish = affine_wish(g, diagonal, x, &minimumWish);
      f32x16 middle = f32x16_round(f32x16_clamp(scaleWish * perD, 0, g.scaleHigh));
      f32x16 start = f32x16_round(f32x16_clamp(minimumWish * perMin, 0, g.scaleHigh));
      for (int i = -2; i <= 2; i++)
        for (int j = -2; j <= 2; j++) {
          f32x16 scale = f32x16_clamp(middle + (float)i, 0, g.scaleHigh);
          f32x16 minimum = f32x16_clamp(start + (float)j, 0, g.scaleHigh);
          walk_sums w = feedback_walk(g, factor, diagonal, x, target + c0, now->d * scale, -(now->dmin * minimum), 0, 0);
          walk_keep(&kept, &now->scale[s], &now->minimum[s], w, scale, minimum);
        }
    } else {
      f32x16 middle = f32x16_round(f32x16_clamp(symmetric_wish(g, diagonal, x) * perD, g.scaleLow, g.scaleHigh));
      int reach = g.scaleHigh > 64 ? 4 : 2;
      for (int i = -reach; i <= reach; i++) {
        f32x16 scale = f32x16_clamp(middle + (float)i, g.scaleLow, g.scaleHigh);
        walk_sums w = feedback_walk(g, factor, diagonal, x, target + c0, now->d * scale, zero, 0, 0);
        walk_keep(&kept, &now->scale[s], &now->minimum[s], w, scale, zero);
      }
    }
    step = now->d * now->scale[s];
    offset = g.isAffine ? -(now->dmin * now->minimum[s]) : zero;
    walk_sums w = feedback_walk(g, factor, diagonal, x, target + c0, step, offset, now->delta + c0, now->codes + c0);
    now->loss += w.loss;
    aa += now->scale[s] * now->scale[s] * w.qq;
    xa += now->scale[s] * w.tq;
    if (g.isAffine) {
      float weight = 0;
      for (int c = 0; c < g.elements; c++) weight += diagonal[c];
      bb += now->minimum[s] * now->minimum[s] * weight;
      ab += now->scale[s] * now->minimum[s] * w.q;
      xb += now->minimum[s] * w.t;
    }
  }
  if (!g.isAffine) {
    *d = xa / aa;
    return;
  }
  // x ≈ d · scale · q − dmin · minimum in the least squares of both.
  f32x16 determinant = aa * bb - ab * ab;
  i32x16 regular = determinant > zero;
  *d = f32x16_select(regular, (xa * bb - ab * xb) / determinant, xa / aa);
  *dmin = f32x16_select(regular, (xa * ab - aa * xb) / determinant, now->dmin);
}

INLINE f32x16 lane_larger(f32x16 a, f32x16 b) { return f32x16_select(f32x16_abs(b) > f32x16_abs(a), b, a); }

// A whole K block: halves from what the groups wish for, then refitted to the codes and tried again.
INLINE void k_search(feedback_grid g, const quern_feedback *a, size_t first, const f32x16 *base, const f32x16 *target,
                     block_try *best) {
  f32x16 zero = f32x16_splat(0), d = zero, dmin = zero;
  for (int s = 0; s < g.subs; s++) {
    const float *diagonal = a->diagonal + first + (size_t)(s * g.elements);
    f32x16 minimum = zero;
    f32x16 wish = g.isAffine ? affine_wish(g, diagonal, base + s * g.elements, &minimum)
                             : symmetric_wish(g, diagonal, base + s * g.elements);
    d = lane_larger(d, wish);
    dmin = lane_larger(dmin, minimum);
  }
  d = d / (g.isAffine ? g.scaleHigh : g.scaleLow);
  dmin = dmin / g.scaleHigh;
  for (int round = 0; round < 3; round++) {
    block_try now = {.d = f32x16_to_half_grid(d), .dmin = f32x16_to_half_grid(dmin)};
    k_try(g, a, first, base, target, &now, &d, &dmin);
    if (round == 0) *best = now;  // also where the loss is not a number
    else try_keep(g, best, &now);
  }
}
