// e^x, tanh and erf on sixteen lanes: our own polynomials, so that every machine computes the same bits.
#pragma once
#include "vector.h"

// e^x. Within 1 ulp or so; 0 below −104, infinity above 88.73, NaN kept.
INLINE f32x16 f32x16_exp(f32x16 x) {
  f32x16 c = f32x16_max(f32x16_min(x, f32x16_splat(89.0f)), f32x16_splat(-105.0f));
  f32x16 n = f32x16_round(c * 0x1.715476p0f);
  // ln 2 in two parts: the first has few enough bits that n times it is exact.
  f32x16 r = f32x16_fma(n, f32x16_splat(-0x1.62e4p-1f), c);
  r = f32x16_fma(n, f32x16_splat(-0x1.7f7d1cp-20f), r);
  f32x16 p = f32x16_splat(0x1.6a8p-10f);
  p = f32x16_fma(p, r, f32x16_splat(0x1.120ac6p-7f));
  p = f32x16_fma(p, r, f32x16_splat(0x1.5555dap-5f));
  p = f32x16_fma(p, r, f32x16_splat(0x1.555542p-3f));
  p = f32x16_fma(p, r, f32x16_splat(0.5f));
  p = f32x16_fma(p, r * r, r) + 1.0f;
  // 2^n in two factors, so that both the largest and the subnormal results come out.
  i32x16 k = i32x16_from_f32(n), half = k >> 1;
  f32x16 y = p * (f32x16)((half + 127) << 23) * (f32x16)((k - half + 127) << 23);
  return f32x16_select(x == x, y, x);
}

INLINE f32x16 f32x16_sigmoid(f32x16 x) { return 1.0f / (1.0f + f32x16_exp(-x)); }
INLINE f32x16 f32x16_silu(f32x16 x) { return x / (1.0f + f32x16_exp(-x)); }

INLINE f32x16 f32x16_tanh(f32x16 x) {
  f32x16 a = f32x16_abs(x);
  // Small: an odd polynomial keeps the relative accuracy that 1 − 2/(e^2x + 1) would lose.
  f32x16 z = x * x;
  f32x16 p = f32x16_splat(-5.70498872745e-3f);
  p = f32x16_fma(p, z, f32x16_splat(2.06390887954e-2f));
  p = f32x16_fma(p, z, f32x16_splat(-5.37397155531e-2f));
  p = f32x16_fma(p, z, f32x16_splat(1.33314422036e-1f));
  p = f32x16_fma(p, z, f32x16_splat(-3.33332819422e-1f));
  f32x16 small = f32x16_fma(p * z, x, x);
  f32x16 large = 1.0f - 2.0f / (f32x16_exp(a + a) + 1.0f);
  i32x16 sign = (i32x16)x & (int32_t)0x80000000;
  return f32x16_select(a < 0.625f, small, (f32x16)((i32x16)large | sign));
}

// erf, absolute error below 1e-7 or so.
INLINE f32x16 f32x16_erf(f32x16 x) {
  f32x16 a = f32x16_abs(x), z = x * x;
  f32x16 p = f32x16_splat(7.853861353153693e-5f);
  p = f32x16_fma(p, z, f32x16_splat(-8.010193625184903e-4f));
  p = f32x16_fma(p, z, f32x16_splat(5.188327685732524e-3f));
  p = f32x16_fma(p, z, f32x16_splat(-2.685381193529856e-2f));
  p = f32x16_fma(p, z, f32x16_splat(1.128358514861418e-1f));
  p = f32x16_fma(p, z, f32x16_splat(-3.761262582423300e-1f));
  p = f32x16_fma(p, z, f32x16_splat(1.128379165726710f));
  f32x16 small = p * x;
  // 1 − erfc: e^(−x²)/x times a polynomial in 1/x², one for 1…2 and one beyond.
  f32x16 q = 1.0f / z;
  f32x16 m = f32x16_splat(2.326819970068386e-2f);
  m = f32x16_fma(m, q, f32x16_splat(-1.387039388740657e-1f));
  m = f32x16_fma(m, q, f32x16_splat(3.687424674597105e-1f));
  m = f32x16_fma(m, q, f32x16_splat(-5.824733027278666e-1f));
  m = f32x16_fma(m, q, f32x16_splat(6.210004621745983e-1f));
  m = f32x16_fma(m, q, f32x16_splat(-4.944515323274145e-1f));
  m = f32x16_fma(m, q, f32x16_splat(3.404879937665872e-1f));
  m = f32x16_fma(m, q, f32x16_splat(-2.741127028184656e-1f));
  m = f32x16_fma(m, q, f32x16_splat(5.638259427386472e-1f));
  f32x16 l = f32x16_splat(-1.047766399936249e+1f);
  l = f32x16_fma(l, q, f32x16_splat(1.297719955372516e+1f));
  l = f32x16_fma(l, q, f32x16_splat(-7.495518717768503f));
  l = f32x16_fma(l, q, f32x16_splat(2.921019019210786f));
  l = f32x16_fma(l, q, f32x16_splat(-1.015265279202700f));
  l = f32x16_fma(l, q, f32x16_splat(4.218463358204948e-1f));
  l = f32x16_fma(l, q, f32x16_splat(-2.820767439740514e-1f));
  l = f32x16_fma(l, q, f32x16_splat(5.641895067754075e-1f));
  f32x16 large = 1.0f - f32x16_exp(-z) / a * f32x16_select(a < 2.0f, m, l);
  large = f32x16_select(a > 6.0f, f32x16_splat(1.0f), large);
  i32x16 sign = (i32x16)x & (int32_t)0x80000000;
  f32x16 y = f32x16_select(a < 1.0f, small, (f32x16)((i32x16)large | sign));
  return f32x16_select(x == x, y, x);
}

INLINE f32x16 f32x16_gelu(f32x16 x) { return 0.5f * x * (1.0f + f32x16_erf(x * 0.70710678118654752f)); }
INLINE f32x16 f32x16_gelu_tanh(f32x16 x) {
  f32x16 inner = 0.79788456080286536f * (x + 0.044715f * (x * x * x));
  return 0.5f * x * (1.0f + f32x16_tanh(inner));
}
INLINE f32x16 f32x16_gelu_quick(f32x16 x) { return x / (1.0f + f32x16_exp(x * -1.702f)); }
