// Encoders of the K formats without ggml's helper weights: the plain (or the caller's weighted) squared error is what
// is minimized. A lane is a sub-block; `lanes` of them share a half d (and dmin), their own scales are small integers.
//
// First every lane finds the float scale it would like (codec_scale.inc.h). The block's half follows from the largest;
// then each lane tries the integers around its wish, the half is refitted to the codes, and the lanes try again. What
// is kept is the best of all that was measured, block by block.

// x ≈ d · scale · code: d a half, scale an integer, both per lane here.
typedef struct {
  f32x16 d, scale, error;  // error: of the lane, weighted
} k_symmetric;

// The best integer scale near `wish` under k->d; returns the sums that refit d.
INLINE symmetric_sums k_symmetric_scales(const f32x16 *x, const f32x16 *weights, int elements, float low, float high,
                                         float scaleLow, float scaleHigh, int reach, f32x16 wish, k_symmetric *k) {
  symmetric_sums best = {f32x16_splat(__builtin_inff()), f32x16_splat(0), f32x16_splat(0)};
  k->scale = f32x16_splat(0);
  f32x16 middle = f32x16_round(f32x16_clamp(wish * f32x16_reciprocal(k->d), scaleLow, scaleHigh));
  for (int offset = -reach; offset <= reach; offset++) {
    f32x16 scale = f32x16_clamp(middle + (float)offset, scaleLow, scaleHigh);
    symmetric_sums s = symmetric_sum(x, weights, elements, low, high, k->d * scale);
    i32x16 better = s.error < best.error;
    best.error = f32x16_select(better, s.error, best.error);
    best.xq = f32x16_select(better, s.xq, best.xq);
    best.qq = f32x16_select(better, s.qq, best.qq);
    k->scale = f32x16_select(better, scale, k->scale);
  }
  k->error = best.error;
  return best;
}

INLINE k_symmetric k_symmetric_search(const f32x16 *x, const f32x16 *weights, int elements, int lanes, float low, float high,
                                      float scaleLow, float scaleHigh, int reach) {
  f32x16 extreme = group_extreme(x, elements), perExtreme = f32x16_reciprocal(extreme);
  f32x16 gain = f32x16_splat(-1), wish = extreme / low;
  for (int step = -2; step <= 2; step++) {
    float place = low + (low / -32) * (float)step;
    symmetric_propose(x, weights, elements, low, high, perExtreme * place, &gain, &wish);
    symmetric_propose(x, weights, elements, low, high, perExtreme * -place, &gain, &wish);
  }
  k_symmetric best = {f32x16_splat(0), f32x16_splat(0), f32x16_splat(__builtin_inff())};
  f32x16 d = block_extreme(wish, lanes) / scaleLow;
  for (int round = 0; round < 3; round++) {
    k_symmetric k = {f32x16_to_half_grid(d), f32x16_splat(0), f32x16_splat(0)};
    symmetric_sums s = k_symmetric_scales(x, weights, elements, low, high, scaleLow, scaleHigh, reach, wish, &k);
    i32x16 better = block_sum(k.error, lanes) < block_sum(best.error, lanes);
    best.d = f32x16_select(better, k.d, best.d);
    best.scale = f32x16_select(better, k.scale, best.scale);
    best.error = f32x16_select(better, k.error, best.error);
    d = block_sum(k.scale * s.xq, lanes) / block_sum(k.scale * k.scale * s.qq, lanes);
  }
  return best;
}

// x ≈ d · scale · code − dmin · minimum.
typedef struct {
  f32x16 d, dmin, scale, minimum, error;
} k_affine;

typedef struct {
  f32x16 error, w, wx, q, qq, xq;  // w: Σw; the others weighted likewise
} affine_sums;

INLINE affine_sums affine_sum(const f32x16 *x, const f32x16 *weights, int elements, float high, f32x16 step, f32x16 below) {
  f32x16 inverse = f32x16_reciprocal(step), zero = f32x16_splat(0);
  affine_sums s = {zero, zero, zero, zero, zero, zero};
  for (int j = 0; j < elements; j++) {
    f32x16 q = code_of(x[j] + below, inverse, 0, high), e = x[j] - f32x16_fma(q, step, -below);
    f32x16 w = weights ? weights[j] : f32x16_splat(1);
    f32x16 wq = weights ? w * q : q, we = weights ? w * e : e;
    s.error = f32x16_fma(we, e, s.error);
    s.w += w;
    s.wx += weights ? w * x[j] : x[j];
    s.q += wq;
    s.qq = f32x16_fma(wq, q, s.qq);
    s.xq = f32x16_fma(wq, x[j], s.xq);
  }
  return s;
}

INLINE void affine_sums_select(i32x16 mask, affine_sums *to, const affine_sums *from) {
  to->error = f32x16_select(mask, from->error, to->error);
  to->w = f32x16_select(mask, from->w, to->w);
  to->wx = f32x16_select(mask, from->wx, to->wx);
  to->q = f32x16_select(mask, from->q, to->q);
  to->qq = f32x16_select(mask, from->qq, to->qq);
  to->xq = f32x16_select(mask, from->xq, to->xq);
}

// The best integers near (scale, minimum) under k->d and k->dmin: for each scale the minimum that fits its codes.
INLINE affine_sums k_affine_scales(const f32x16 *x, const f32x16 *weights, int elements, float high, float most,
                                   f32x16 scaleWish, f32x16 minimumWish, k_affine *k) {
  affine_sums best;
  f32x16 perD = f32x16_reciprocal(k->d), perMin = f32x16_reciprocal(k->dmin);
  f32x16 middle = f32x16_round(f32x16_clamp(scaleWish * perD, 0, most));
  f32x16 start = f32x16_round(f32x16_clamp(minimumWish * perMin, 0, most));
  for (int i = 0; i < 3; i++) {
    f32x16 scale = f32x16_clamp(middle + (float)(i == 2 ? -1 : i), 0, most), step = k->d * scale, minimum = start;
    for (int pass = 0; pass < 2; pass++) {
      affine_sums s = affine_sum(x, weights, elements, high, step, k->dmin * minimum);
      i32x16 better = i + pass == 0 ? i32x16_splat(-1) : s.error < best.error;
      if (i + pass == 0) best = s;
      affine_sums_select(better, &best, &s);
      k->scale = f32x16_select(better, scale, k->scale);
      k->minimum = f32x16_select(better, minimum, k->minimum);
      minimum = f32x16_round(f32x16_clamp((step * s.q - s.wx) / s.w * perMin, 0, most));
    }
  }
  k->error = best.error;
  return best;
}

INLINE k_affine k_affine_search(const f32x16 *x, const f32x16 *weights, int elements, int lanes, float high, float most) {
  f32x16 zero = f32x16_splat(0), least = zero, greatest = x[0];
  for (int j = 0; j < elements; j++) {
    least = f32x16_min(x[j], least);
    greatest = f32x16_max(x[j], greatest);
  }
  f32x16 range = f32x16_max(greatest, zero) - least, above[32];
  affine_proposal proposal = {zero, zero, f32x16_splat(-1), range / high, zero};
  for (int j = 0; j < elements; j++) above[j] = x[j] - least;
  affine_proposals(above, weights, elements, high, range, &proposal);
  // A minimum cannot lie above zero; lanes that want that keep their greatest element in reach.
  f32x16 scaleWish = proposal.scale, minimumWish = -(least + proposal.offset);
  i32x16 positive = minimumWish < zero;
  scaleWish = f32x16_select(positive, range / high, scaleWish);
  minimumWish = f32x16_select(positive, zero, minimumWish);

  k_affine best = {zero, zero, zero, zero, f32x16_splat(__builtin_inff())};
  f32x16 d = block_extreme(scaleWish, lanes) / most, dmin = block_extreme(minimumWish, lanes) / most;
  for (int round = 0; round < 2; round++) {
    k_affine k = {f32x16_to_half_grid(d), f32x16_to_half_grid(dmin), zero, zero, zero};
    affine_sums s = k_affine_scales(x, weights, elements, high, most, scaleWish, minimumWish, &k);
    i32x16 better = block_sum(k.error, lanes) < block_sum(best.error, lanes);
    best.d = f32x16_select(better, k.d, best.d);
    best.dmin = f32x16_select(better, k.dmin, best.dmin);
    best.scale = f32x16_select(better, k.scale, best.scale);
    best.minimum = f32x16_select(better, k.minimum, best.minimum);
    best.error = f32x16_select(better, k.error, best.error);
    // Least squares in d and dmin for the codes and integers just found.
    f32x16 aa = block_sum(k.scale * k.scale * s.qq, lanes), bb = block_sum(k.minimum * k.minimum * s.w, lanes);
    f32x16 ab = block_sum(k.scale * k.minimum * s.q, lanes);
    f32x16 xa = block_sum(k.scale * s.xq, lanes), xb = block_sum(k.minimum * s.wx, lanes);
    f32x16 determinant = aa * bb - ab * ab;
    i32x16 regular = determinant > zero;
    d = f32x16_select(regular, (xa * bb - ab * xb) / determinant, xa / aa);
    dmin = f32x16_select(regular, (xa * ab - aa * xb) / determinant, k.dmin);
    scaleWish = k.d * k.scale;
    minimumWish = k.dmin * k.minimum;
  }
  return best;
}
