// Groups of columns that share a scale in plain tensors, as GPU libraries keep them: see quern_group_feedback.

INLINE f32x16 group_stored(const quern_group_feedback *a, f32x16 scale) {
  if (a->scales16 == QUERN_SCALES_F16) return f32x16_to_half_grid(scale);
  if (a->scales16 != QUERN_SCALES_BF16) return scale;
  u32x16 bits = (u32x16)scale;
  return (f32x16)((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
}

// The greedy pass over one group under one scale: its error, and sums that refit the scale.
INLINE walk_sums group_walk(const quern_group_feedback *a, const quern_feedback *f, size_t first, const f32x16 *base,
                            const f32x16 *target, f32x16 step, f32x16 zero, f32x16 *delta) {
  feedback_grid g = {.elements = 32, .subs = 1, .low = a->low, .high = a->high, .isAffine = a->hasZero};
  return panels_walk(g, f, first, a->groupColumns, base, target, step, -(zero * step), delta, 0);
}

// One group of sixteen rows. base: targets with the feedback of all columns before. Returns the error.
INLINE f32x16 group_search(const quern_group_feedback *a, const quern_feedback *f, size_t first, const f32x16 *base,
                           const f32x16 *target, f32x16 *delta, f32x16 *scale, f32x16 *zero) {
  f32x16 none = f32x16_splat(0), least = none, greatest = none, tried, triedZero;
  float weight = 0;
  for (size_t c = 0; c < a->groupColumns; c++) {
    least = f32x16_min(base[c], least);
    greatest = f32x16_max(base[c], greatest);
    weight += a->diagonal[first + c];
  }
  walk_sums kept = walk_nothing();
  *scale = none;
  *zero = none;
  f32x16 largest = f32x16_max(greatest, -least), range = greatest - least;
  float levels = a->high - a->low;
  int count = a->groupColumns > 256 ? 3 : 9;
  for (int i = 0; i < count; i++) {
    if (a->hasZero) {
      float shrink = 1 - 0.03f * (float)i;
      tried = group_stored(a, range * (shrink / levels));
      triedZero = f32x16_round(f32x16_clamp(-least * shrink * f32x16_reciprocal(tried), a->low, a->high));
    } else {
      // The largest element somewhere between the last code and a little beyond.
      float place = a->high + (a->high < 16 ? 0.25f : 0.5f) * (float)i;
      tried = group_stored(a, largest / place);
      triedZero = none;
    }
    walk_keep(&kept, scale, zero, group_walk(a, f, first, base, target, tried, triedZero, delta), tried, triedZero);
  }
  for (int round = 0; round < 2; round++) {
    if (a->hasZero) {
      f32x16 determinant = weight * kept.qq - kept.q * kept.q;
      f32x16 fitted = (weight * kept.tq - kept.q * kept.t) / determinant;
      tried = f32x16_select((determinant > none) & (fitted > none), fitted, *scale);
      f32x16 offset = (kept.t - tried * kept.q) / f32x16_splat(weight);
      tried = group_stored(a, tried);
      triedZero = f32x16_round(f32x16_clamp(-offset * f32x16_reciprocal(tried), a->low, a->high));
    } else {
      f32x16 fitted = kept.tq / kept.qq;
      tried = group_stored(a, f32x16_select(fitted > none, fitted, *scale));
      triedZero = none;
    }
    walk_keep(&kept, scale, zero, group_walk(a, f, first, base, target, tried, triedZero, delta), tried, triedZero);
  }
  return group_walk(a, f, first, base, target, *scale, *zero, delta).loss;
}

static size_t group_feedback(const quern_group_feedback *a) {
  quern_feedback f = {.columns = a->columns, .factor = a->factor, .diagonal = a->diagonal};
  f32x16 *target = a->scratch, *delta = target + a->columns, *base = delta + a->columns;
  size_t groups = a->columns / a->groupColumns, bad = 0;
  for (size_t firstRow = 0; firstRow < a->rows; firstRow += 16) {
    size_t rows = a->rows - firstRow < 16 ? a->rows - firstRow : 16;
    feedback_state s = {.target = target};
    f.targets = a->targets + firstRow * a->columns;
    f.rows = rows;
    bad += feedback_load(&f, 0, &s);
    f32x16 error = f32x16_splat(0), scale, zero;
    for (size_t group = 0; group < groups; group++) {
      size_t first = group * a->groupColumns;
      for (size_t c = 0; c < a->groupColumns; c++) base[c] = target[first + c];
      for (size_t c = 0; c < a->groupColumns; c += 32)
        feedback_extend(factor_panel(&f, first + c), 0, first, delta, 32, base + c);
      error += group_search(a, &f, first, base, target + first, delta + first, &scale, &zero);
      for (size_t r = 0; r < rows; r++) {
        // A group of zeros has a scale all the same: some readers divide by it.
        a->scales[(firstRow + r) * groups + group] = scale[r] > 0 ? scale[r] : 1;
        if (a->hasZero) a->zeros[(firstRow + r) * groups + group] = zero[r];
      }
    }
    for (size_t r = 0; r < rows; r++) {
      a->errors[firstRow + r] = error[r];
      float *out = a->decoded + (firstRow + r) * a->columns;
      for (size_t c = 0; c < a->columns; c++) out[c] = target[c][r] - delta[c][r];
    }
  }
  return bad;
}
