// Blocks of 64 that share a half (Q2_0): two panels of the factor, side by side.

// The greedy pass over `columns` columns under one step, a panel after the other. first: a multiple of 32; base: targets
// with the feedback of all columns before `first`. delta may not be null: later panels need it. codes may.
INLINE walk_sums panels_walk(feedback_grid g, const quern_feedback *a, size_t first, size_t columns, const f32x16 *base,
                             const f32x16 *target, f32x16 step, f32x16 offset, f32x16 *delta, u8x16 *codes) {
  f32x16 none = f32x16_splat(0);
  walk_sums sums = {none, none, none, none, none};
  g.elements = 32;
  for (size_t c = 0; c < columns; c += 32) {
    const float *panel = factor_panel(a, first + c);
    f32x16 x[32];
    for (int i = 0; i < 32; i++) x[i] = base[c + (size_t)i];
    feedback_extend(panel + 32 * first, 0, c, delta, 32, x);
    walk_sums part = feedback_walk(g, panel + 32 * (first + c), a->diagonal + first + c, x, target + c, step, offset,
                                   delta + c, codes ? codes + c : 0);
    sums.loss += part.loss;
    sums.q += part.q;
    sums.qq += part.qq;
    sums.tq += part.tq;
    sums.t += part.t;
  }
  return sums;
}

// A half of either sign: the extreme element from code 1 to beyond code 2, on both sides.
INLINE walk_sums wide_block(feedback_grid g, const quern_feedback *a, size_t first, const f32x16 *base, feedback_state *s,
                            f32x16 *d) {
  const f32x16 *target = s->target + first;
  f32x16 *delta = s->delta + first, weights[64], zero = f32x16_splat(0), none;
  spread(a->diagonal + first, g.elements, weights);
  f32x16 perExtreme = f32x16_reciprocal(group_extreme(base, g.elements));
  size_t columns = (size_t)g.elements;
  walk_sums kept = walk_nothing();
  *d = zero;
  for (int index = 0; index < 24; index++) {
    float place = 1 + 0.25f * (float)(index >> 1);
    f32x16 gain, scale = index < 22 ? symmetric_fit(g, base, weights, perExtreme * (index & 1 ? -place : place), &gain)
                                    : kept.tq / kept.qq;
    scale = f32x16_to_half_grid(scale);
    walk_keep(&kept, d, &none, panels_walk(g, a, first, columns, base, target, scale, zero, delta, 0), scale, zero);
  }
  return panels_walk(g, a, first, columns, base, target, *d, zero, delta, s->codes + first);
}

// Coordinate descent over one block: its codes, then the half that suits them best.
INLINE f32x16 sweep_wide(feedback_grid g, const quern_feedback *a, feedback_state *s, size_t block) {
  size_t first = block * 64;
  f32x16 zero = f32x16_splat(0), gain = zero, gradient[64], code[64], image[64], moved[32];
  g.elements = 32;
  for (size_t c = 0; c < 64; c += 32) {
    const float *panel = gram_panel(a, first + c);
    for (size_t i = 0; i < 32; i++) {
      gradient[c + i] = zero;
      image[c + i] = zero;
      moved[i] = s->delta[first + c + i];
    }
    feedback_extend(panel, 0, a->columns, s->delta, 32, gradient + c);
    gain += sweep_codes(g, panel + 32 * (first + c), s, first + c, s->d[block], zero, gradient + c, code + c);
  }
  // What moved in the second panel has changed the first one's gradient.
  for (size_t i = 0; i < 32; i++) moved[i] = s->delta[first + 32 + i] - moved[i];
  feedback_extend(gram_panel(a, first) + 32 * (first + 32), 0, 32, moved, 32, gradient);
  f32x16 slope = zero, curve = zero;
  for (size_t c = 0; c < 64; c += 32) {
    feedback_extend(gram_panel(a, first + c) + 32 * first, 0, 64, code, 32, image + c);
    for (size_t i = c; i < c + 32; i++) {
      slope = f32x16_fma(gradient[i], code[i], slope);
      curve = f32x16_fma(image[i], code[i], curve);
    }
  }
  f32x16 step = s->d[block], kept = f32x16_to_half_grid(step + slope * f32x16_reciprocal(curve)), amount = kept - step;
  f32x16 better = step_gain(amount, slope, curve);
  i32x16 moves = better > zero;
  amount = f32x16_select(moves, amount, zero);
  for (size_t i = 0; i < 64; i++) s->delta[first + i] -= amount * code[i];
  s->d[block] = f32x16_select(moves, kept, step);
  return gain + f32x16_select(moves, better, zero);
}
