// Angles of the rotary embedding. Doubles without contraction: the same bits on every processor.
#include <stddef.h>

#include "include/ckernels_math.h"

#pragma clang fp contract(off)

// cos and sin of x, |x| < 2^20 or so, to well below a float's rounding.
static void cosine_and_sine(double x, double *cosine, double *sine) {
  double turns = x * 0.63661977236758134308;  // quarter turns
  double n = (turns + 0x1.8p52) - 0x1.8p52;
  // π/2 in two parts; the first has 33 bits, so n times it is exact.
  double r = (x - n * 0x1.921fb544p0) - n * 0x1.0b4611a626331p-34;
  double z = r * r;
  double s = -1.0 / 1307674368000.0;
  s = s * z + 1.0 / 6227020800.0;
  s = s * z - 1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  s = s * z * r + r;
  double c = 1.0 / 20922789888000.0;
  c = c * z - 1.0 / 87178291200.0;
  c = c * z + 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  c = c * z - 0.5;
  c = c * z + 1.0;
  switch ((long long)n & 3) {
    case 0: *cosine = c, *sine = s; break;
    case 1: *cosine = -s, *sine = c; break;
    case 2: *cosine = -c, *sine = -s; break;
    default: *cosine = s, *sine = -c; break;
  }
}

void quern_rope_table(const float *frequencies, size_t pairs, size_t firstPosition, size_t count, float factor,
                      float *cosines, float *sines) {
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < pairs; j++) {
      float angle = (float)(firstPosition + i) * frequencies[j];
      double c, s;
      cosine_and_sine(angle, &c, &s);
      cosines[i * pairs + j] = (float)(c * factor);
      sines[i * pairs + j] = (float)(s * factor);
    }
}
