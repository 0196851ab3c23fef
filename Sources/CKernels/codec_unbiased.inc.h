// The last step of most encoders: scales that keep sums whole.
//
// Codes and scales of least squares leave a block smaller than it was: Σ x x̂ falls short of Σ x² by the relative error, a
// tenth in two bits, half a percent in four. Every row and every layer shrinks alike, and that costs a model more than the
// little noise that larger scales bring. So the codes stay, and the block's half d is raised until Σ w x x̂ = Σ w x²; what
// is stored is then unbiased as an estimate (Vargaftik et al. 2022, "EDEN", do so for gradients). Error feedback needs
// none of it: it makes up for the shrinking in what is rounded next.

// Of a lane, weighted: Σ w x x̂ and Σ w x².
typedef struct {
  f32x16 kept, whole;
} unbiased_sums;

// From Σ w e², Σ w x q and Σ w q² of x̂ = step · q.
INLINE unbiased_sums unbiased_from(f32x16 step, f32x16 error, f32x16 xq, f32x16 qq) {
  f32x16 kept = step * xq;
  return (unbiased_sums){kept, error + 2 * kept - step * step * qq};
}

// By how much d must grow, in blocks of so many lanes; 1 where that cannot be told, and where a fifth or more is missing:
// such a block (nearly all zeros, in a format without zero) is not one that only shrank.
INLINE f32x16 unbiased_factor(unbiased_sums s, int lanes) {
  f32x16 factor = block_sum(s.whole, lanes) * f32x16_reciprocal(block_sum(s.kept, lanes));
  return f32x16_select((factor > 1) & (factor < 1.25f), factor, f32x16_splat(1));
}

// The scale to store in place of one that was chosen, of lanes that are blocks (or share one): unbiased, unless the error
// would exceed `limit`, which is ggml's own.
INLINE f32x16 unbiased_scale(f32x16 scale, symmetric_sums s, f32x16 limit) {
  f32x16 raised = f32x16_to_half_grid(scale * unbiased_factor(unbiased_from(scale, s.error, s.xq, s.qq), 1));
  f32x16 more = raised - scale, error = s.error - 2 * more * (s.xq - scale * s.qq) + more * more * s.qq;
  return f32x16_select(error < limit * 0.99999f, raised, scale);
}
