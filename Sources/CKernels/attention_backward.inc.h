// The gradient of causal attention, head by head: probabilities are computed again, nothing of size tokens² is kept.

INLINE f32x16 dot_rows(const float *a, const float *b, size_t n) {
  f32x16 sum = f32x16_splat(0);
  for (size_t d = 0; d < n; d += 16) sum = f32x16_fma(f32x16_load_upto(a + d, n - d), f32x16_load_upto(b + d, n - d), sum);
  return sum;
}
INLINE void add_row(float *to, const float *from, float factor, size_t n) {
  for (size_t d = 0; d < n; d += 16)
    f32x16_store_upto(to + d, f32x16_fma(f32x16_load_upto(from + d, n - d), f32x16_splat(factor), f32x16_load_upto(to + d, n - d)), n - d);
}

// index: the key-value head, with all query heads that share it.
static void attention_backward(const void *arguments, size_t index, void *scratch) {
  const quern_attention_backward *p = arguments;
  float *probability = scratch, *slope = probability + p->tokens;
  size_t shared = p->heads / p->kvHeads, kd = p->keyDim, vd = p->valueDim;
  const float *keys = p->k + index * kd, *values = p->v + index * vd;
  float *dKeys = p->dk + index * kd, *dValues = p->dv + index * vd;
  size_t kStride = p->kvHeads * kd, vStride = p->kvHeads * vd;
  for (size_t t = 0; t < p->tokens; t++) {
    memset(dKeys + t * kStride, 0, kd * sizeof(float));
    memset(dValues + t * vStride, 0, vd * sizeof(float));
  }
  for (size_t head = index * shared; head < (index + 1) * shared; head++)
    for (size_t t = 0; t < p->tokens; t++) {
      const float *q = p->q + (t * p->heads + head) * kd, *gradient = p->dOut + (t * p->heads + head) * vd;
      float *dq = p->dq + (t * p->heads + head) * kd;
      size_t from = p->window && t + 1 > p->window ? t + 1 - p->window : 0;
      float most = -__builtin_inff();
      for (size_t j = from; j <= t; j++) {
        probability[j] = f32x16_sum(dot_rows(q, keys + j * kStride, kd)) * p->scale;
        most = probability[j] > most ? probability[j] : most;
        slope[j] = f32x16_sum(dot_rows(gradient, values + j * vStride, vd));
      }
      float total = 0, mean = 0;
      for (size_t j = from; j <= t; j += 16) {
        size_t n = t + 1 - j;
        f32x16 e = f32x16_exp(f32x16_load_upto(probability + j, n) - most);
        e = f32x16_select(i32x16_lanes_below(n), e, f32x16_splat(0));
        f32x16_store_upto(probability + j, e, n);
        total += f32x16_sum(e);
        mean += f32x16_sum(e * f32x16_load_upto(slope + j, n));
      }
      mean /= total;
      memset(dq, 0, kd * sizeof(float));
      for (size_t j = from; j <= t; j++) {
        float share = probability[j] / total;
        // Most keys get next to nothing: their part of any sum is lost in its rounding, and denormals are slow.
        if (share < 0x1p-30f) continue;
        float ds = share * (slope[j] - mean) * p->scale;
        add_row(dq, keys + j * kStride, ds, kd);
        add_row(dKeys + j * kStride, q, ds, kd);
        add_row(dValues + j * vStride, gradient, share, vd);
      }
    }
}
