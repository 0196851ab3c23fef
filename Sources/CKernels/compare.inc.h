// What two rows of logits say about one token: log-probabilities and Kullback–Leibler divergence; sums of squares.
#pragma once
#include <math.h>

#include "rows.inc.h"

enum { sumChunk = 1024 };  // elements whose float lane sums are exact enough to join a double

// Of a few elements in doubles: squares of floats may leave their range.
static double wide_squared_sum(const float *x, const float *scales, size_t n) {
  f64x16 sum = {0};
  for (size_t k = 0; k < n; k += 16) {
    f32x16 v = f32x16_load_upto(x + k, n - k);
    if (scales) v *= f32x16_load_upto(scales + k, n - k);
    f64x16 wide = f64x16_from_f32(f32x16_select(v - v == 0, v, f32x16_splat(0)));
    sum += wide * wide;
  }
  return f64x16_sum(sum);
}

INLINE double squared_sum_of(const float *x, const float *scales, size_t n) {
  double sum = 0;
  for (size_t from = 0; from < n; from += sumChunk) {
    size_t count = n - from < sumChunk ? n - from : sumChunk, k = from;
    f32x16 parts[2] = {{0}, {0}};  // two sums in turn: one would wait for each addition
    for (; k + 32 <= from + count; k += 32)
      for (int i = 0; i < 2; i++) {
        f32x16 v = f32x16_load(x + k + 16 * i);
        if (scales) v *= f32x16_load(scales + k + 16 * i);
        parts[i] = f32x16_fma(v, v, parts[i]);
      }
    for (; k < from + count; k += 16) {
      f32x16 v = f32x16_load_upto(x + k, from + count - k);
      if (scales) v *= f32x16_load_upto(scales + k, from + count - k);
      parts[0] = f32x16_fma(v, v, parts[0]);
    }
    float part = f32x16_sum(parts[0] + parts[1]);
    int isExact = part > 1e-25f && part < 1e30f;
    sum += isExact ? (double)part : wide_squared_sum(x + from, scales ? scales + from : 0, count);
  }
  return sum;
}

// What is not finite counts as zero.
static double squared_sum(const float *x, const float *scales, size_t n) {
  return scales ? squared_sum_of(x, scales, n) : squared_sum_of(x, 0, n);
}

static float largest_logit(const float *x, size_t n, size_t *at) {
  f32x16 best = f32x16_splat(-__builtin_inff());
  size_t k = 0;
  for (; k + 16 <= n; k += 16) best = f32x16_max(f32x16_load(x + k), best);
  float most = f32x16_largest(best);
  for (; k < n; k++) most = x[k] > most ? x[k] : most;
  *at = 0;
  for (size_t i = 0; i < n; i++)
    if (x[i] == most) {
      *at = i;
      break;
    }
  return most;
}

// Σ e^(x − most).
static double sum_exponentials(const float *x, size_t n, float most) {
  double sum = 0;
  for (size_t from = 0; from < n; from += sumChunk) {
    f32x16 part = f32x16_splat(0);
    for (size_t k = from; k < n && k < from + sumChunk; k += 16) {
      f32x16 e = f32x16_exp(f32x16_load_upto(x + k, n - k) - most);
      part += f32x16_select(i32x16_lanes_below(n - k), e, f32x16_splat(0));
    }
    for (int i = 0; i < 16; i++) sum += (double)part[i];
  }
  return sum;
}

// e^−x + x − 1 without cancellation.
INLINE f32x16 surprise(f32x16 x) {
  f32x16 p = f32x16_splat(1.0f / 5040);
  p = f32x16_fma(p, -x, f32x16_splat(1.0f / 720));
  p = f32x16_fma(p, -x, f32x16_splat(1.0f / 120));
  p = f32x16_fma(p, -x, f32x16_splat(1.0f / 24));
  p = f32x16_fma(p, -x, f32x16_splat(1.0f / 6));
  p = f32x16_fma(p, -x, f32x16_splat(0.5f));
  f32x16 near = p * (x * x), far = f32x16_exp(-x) + (x - 1.0f);
  return f32x16_select(f32x16_abs(x) < 0.25f, near, far);
}

static void compare(const float *reference, const float *candidate, size_t n, size_t target, quern_comparison *out) {
  float most = largest_logit(reference, n, &out->referenceTop);
  double total = log(sum_exponentials(reference, n, most));
  out->referenceLogProbability = ((double)reference[target] - (double)most) - total;
  if (!candidate) {
    out->candidateLogProbability = out->referenceLogProbability;
    out->candidateTop = out->referenceTop;
    out->divergence = 0;
    return;
  }
  float candidateMost = largest_logit(candidate, n, &out->candidateTop);
  double candidateTotal = log(sum_exponentials(candidate, n, candidateMost));
  out->candidateLogProbability = ((double)candidate[target] - (double)candidateMost) - candidateTotal;
  // KL = Σ p (x + e^−x − 1) with x = log p − log q: equal to Σ p x because both distributions sum to one, but every
  // term is positive, and an error in the totals cancels to first order.
  float shift = (float)(((double)most + total) - ((double)candidateMost + candidateTotal));
  float normal = (float)(1.0 / exp(total)), candidateNormal = (float)(1.0 / exp(candidateTotal));
  double sum = 0;
  for (size_t from = 0; from < n; from += sumChunk) {
    f32x16 part = f32x16_splat(0);
    for (size_t k = from; k < n && k < from + sumChunk; k += 16) {
      f32x16 a = f32x16_load_upto(reference + k, n - k), b = f32x16_load_upto(candidate + k, n - k);
      f32x16 x = (a - b) - shift;
      f32x16 p = f32x16_exp(a - most) * normal, q = f32x16_exp(b - candidateMost) * candidateNormal;
      // Far apart, q itself is used: p e^−x could be 0 · ∞.
      f32x16 near = p * surprise(f32x16_min(f32x16_max(x, f32x16_splat(-1)), f32x16_splat(1)));
      f32x16 far = f32x16_fma(p, x, q - p);
      far = f32x16_select(p == 0.0f, q, far);
      f32x16 term = f32x16_select(f32x16_abs(x) < 1.0f, near, far);
      part += f32x16_select(i32x16_lanes_below(n - k), term, f32x16_splat(0));
    }
    for (int i = 0; i < 16; i++) sum += (double)part[i];
  }
  out->divergence = sum;
}

static void exponentials(const float *x, float *out, size_t n) {
  for (size_t k = 0; k < n; k += 16) f32x16_store_upto(out + k, f32x16_exp(f32x16_load_upto(x + k, n - k)), n - k);
}
