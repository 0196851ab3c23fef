// Coordinate descent on δ H δᵀ: every code in turn is chosen anew given all others, then the scales. Each step can only
// lower the error, so what error feedback found greedily is improved until nothing moves.

INLINE const float *gram_panel(const quern_feedback *a, size_t column) {
  return a->gram + column / 32 * 32 * a->columns + column % 32;
}

// ŵ moves by `amount` along the codes' direction: the step changes while the codes stay. `slope` = Σ g q, `curve` = q H q.
INLINE f32x16 step_gain(f32x16 amount, f32x16 slope, f32x16 curve) { return amount * (2 * slope - amount * curve); }

// Every code of `elements` columns under one step. corner: H at these columns; gradient: δ H there, kept true; code: of each.
INLINE f32x16 sweep_codes(feedback_grid g, const float *corner, feedback_state *s, size_t column, f32x16 step, f32x16 offset,
                          f32x16 *gradient, f32x16 *code) {
  f32x16 inverse = f32x16_reciprocal(step), zero = f32x16_splat(0), gain = zero;
  for (int c = 0; c < g.elements; c++) {
    float curve = corner[32 * c + c];
    f32x16 value = s->target[column + c] - s->delta[column + c];
    f32x16 wanted = value + gradient[c] * (curve > 0 ? 1 / curve : 0);
    f32x16 q = grid_nearest(g, (wanted - offset) * inverse), next = q * step + offset, change = next - value;
    // Where the code is the same, rounding must not pretend a change.
    f32x16 better = change * (2 * gradient[c] - change * curve);
    i32x16 moves = better > zero;
    change = f32x16_select(moves, change, zero);
    gain += f32x16_select(moves, better, zero);
    s->delta[column + c] -= change;
    if (g.isUneven) {
      u8x16 mask = __builtin_convertvector(moves, u8x16), chosen = __builtin_convertvector(iq4_nearest((wanted - offset) * inverse).code, u8x16);
      s->codes[column + c] = (chosen & mask) | (s->codes[column + c] & ~mask);
      iq4_choice now = iq4_nearest((value + change - offset) * inverse);
      code[c] = f32x16_from_i32(__builtin_convertvector(now.level, i32x16));
    } else {
      i32x16 old = __builtin_convertvector(s->codes[column + c], i32x16);
      i32x16 chosen = (i32x16_from_f32(q - g.low) & moves) | (old & ~moves);
      s->codes[column + c] = __builtin_convertvector(chosen, u8x16);
      code[c] = f32x16_from_i32(chosen) + g.low;
    }
    for (int i = 0; i < g.elements; i++) gradient[i] = f32x16_fma(-change, f32x16_splat(corner[32 * c + i]), gradient[i]);
  }
  return gain;
}

// One group of elements that share a scale. block: of the state's d.
INLINE f32x16 sweep_group(feedback_grid g, const quern_feedback *a, feedback_state *s, size_t column, size_t group,
                          size_t block) {
  f32x16 zero = f32x16_splat(0), gradient[32], code[32];
  const float *panel = gram_panel(a, column), *corner = panel + 32 * column;
  for (int c = 0; c < g.elements; c++) gradient[c] = zero;
  feedback_extend(panel, 0, a->columns, s->delta, g.elements, gradient);

  int isHalf = g.subs == 1;
  f32x16 step = isHalf ? s->d[block] : s->d[block] * s->scale[group];
  f32x16 offset = !g.isAffine ? zero : isHalf ? s->dmin[block] : -(s->dmin[block] * s->minimum[group]);
  f32x16 gain = sweep_codes(g, corner, s, column, step, offset, gradient, code), slope = zero;

  // The scale that suits these codes best: δ' = δ − amount · q.
  f32x16 image[32], curve = zero;
  for (int c = 0; c < g.elements; c++) image[c] = zero;
  feedback_extend(corner, 0, (size_t)g.elements, code, g.elements, image);
  for (int c = 0; c < g.elements; c++) {
    slope = f32x16_fma(gradient[c], code[c], slope);
    curve = f32x16_fma(image[c], code[c], curve);
  }
  f32x16 wish = step + slope * f32x16_reciprocal(curve), kept;
  if (isHalf) {
    kept = f32x16_to_half_grid(wish);
  } else {
    kept = f32x16_round(f32x16_clamp(wish * f32x16_reciprocal(s->d[block]), g.scaleLow, g.scaleHigh));
    kept = s->d[block] * kept;
  }
  f32x16 amount = kept - step, better = step_gain(amount, slope, curve);
  i32x16 moves = better > zero;
  amount = f32x16_select(moves, amount, zero);
  gain += f32x16_select(moves, better, zero);
  for (int c = 0; c < g.elements; c++) {
    s->delta[column + c] -= amount * code[c];
    gradient[c] -= amount * image[c];
  }
  if (isHalf) s->d[block] = f32x16_select(moves, kept, step);
  else s->scale[group] = f32x16_select(moves, f32x16_round(kept * f32x16_reciprocal(s->d[block])), s->scale[group]);

  if (g.isAffine) {
    // The same for the offset, whose direction is all ones.
    f32x16 pull = zero;
    float stiffness = 0;
    for (int c = 0; c < g.elements; c++) {
      pull += gradient[c];
      for (int i = 0; i < g.elements; i++) stiffness += corner[32 * c + i];
    }
    f32x16 wanted = offset + pull * (stiffness > 0 ? 1 / stiffness : 0), next;
    if (isHalf) next = f32x16_to_half_grid(wanted);
    else
      next = -(s->dmin[block] *
               f32x16_round(f32x16_clamp(-wanted * f32x16_reciprocal(s->dmin[block]), 0, g.scaleHigh)));
    f32x16 shift = next - offset, gained = step_gain(shift, pull, f32x16_splat(stiffness));
    moves = gained > zero;
    shift = f32x16_select(moves, shift, zero);
    gain += f32x16_select(moves, gained, zero);
    for (int c = 0; c < g.elements; c++) s->delta[column + c] -= shift;
    if (isHalf) s->dmin[block] = f32x16_select(moves, next, offset);
    else
      s->minimum[group] =
          f32x16_select(moves, f32x16_round(-next * f32x16_reciprocal(s->dmin[block])), s->minimum[group]);
  }
  return gain;
}
