// Comparing two rows of logits, sums of squares, and the exponential underneath.
#include <math.h>

#include "check.h"

static double logSum(const float *x, size_t count, double *most) {
  double sum = 0;
  *most = -INFINITY;
  for (size_t i = 0; i < count; i++) *most = fmax(*most, x[i]);
  for (size_t i = 0; i < count; i++) sum += exp(x[i] - *most);
  return log(sum);
}

static void checkCompare(const contest *c) {
  static const size_t counts[] = {1, 2, 7, 16, 17, 100, 1023, 1024, 1025, 5000};
  static const float noises[] = {0, 0x1p-10f, 0.1f, 1, 20};
  startFunction(c, "compare");
  for (size_t step = 0; step < 50; step++) {
    size_t count = counts[step % 10], target = randomBelow(count);
    float noise = noises[step / 10];
    int alone = step % 10 == 3;
    startCase("%zu logits, noise %g%s", count, (double)noise, alone ? ", no candidate" : "");
    float *reference = floatsOf(count), *candidate = floatsOf(count);
    fillFloats(reference, count, patternNormal);
    for (size_t i = 0; i < count; i++) {
      reference[i] *= 4;
      candidate[i] = reference[i] + noise * randomNormal();
    }
    quern_comparison generic = {0}, table = {0};
    c->generic->math->compare(reference, alone ? NULL : candidate, count, target, &generic);
    c->table->math->compare(reference, alone ? NULL : candidate, count, target, &table);
    sameBytes("comparison", &generic, &table, sizeof table);
    if (wantsReference()) {
      const float *other = alone ? reference : candidate;
      double mostA, mostB, totalA = logSum(reference, count, &mostA), totalB = logSum(other, count, &mostB), sum = 0;
      for (size_t i = 0; i < count; i++) {
        double a = reference[i] - mostA - totalA, b = other[i] - mostB - totalB;
        sum += exp(a) * (a - b) + exp(b) - exp(a);
      }
      nearTo("reference log p", 0, reference[target] - mostA - totalA, table.referenceLogProbability, 1e-6);
      nearTo("candidate log p", 0, other[target] - mostB - totalB, table.candidateLogProbability, 1e-6);
      nearTo("divergence", 0, sum, table.divergence, 1e-5 * sum + 1e-9);
      holds("the reference's top", (double)reference[table.referenceTop] == mostA);
      holds("the candidate's top", (double)other[table.candidateTop] == mostB);
    }
    releaseBuffers();
  }
  finishFunction();
}

static void checkSquaredSum(const contest *c) {
  static const size_t counts[] = {0, 1, 15, 16, 17, 31, 33, 1056, 4096};
  enum { countCount = sizeof counts / sizeof *counts };
  startFunction(c, "squaredSum");
  for (size_t step = 0; step < 2 * countCount * patternCount; step++) {
    size_t count = counts[step % countCount];
    pattern kind = (pattern)(step / countCount % patternCount);
    int isScaled = step >= countCount * patternCount;
    startCase("%s, %zu, scaled: %d", patternNames[kind], count, isScaled);
    float *x = floatsOf(count), *scales = isScaled ? floatsOf(count) : 0;
    fillFloats(x, count, kind);
    for (size_t i = 0; isScaled && i < count; i++) scales[i] = (float)(1 + i % 7) / 4;
    double generic = c->generic->math->squaredSum(x, scales, count), table = c->table->math->squaredSum(x, scales, count);
    sameBytes("sum", &generic, &table, sizeof table);
    if (wantsReference()) {
      double sum = 0;
      for (size_t i = 0; i < count; i++) {
        float v = isScaled ? x[i] * scales[i] : x[i];
        sum += isfinite(v) ? (double)v * (double)v : 0;
      }
      nearTo("sum", 0, sum, table, 1e-6 * sum);
    }
    releaseBuffers();
  }
  finishFunction();
}

static void checkExponentials(const contest *c) {
  static const size_t counts[] = {1, 7, 15, 16, 17, 33, 255, 4096};
  startFunction(c, "exponentials");
  for (size_t step = 0; step < 8 * patternCount; step++) {
    size_t count = counts[step % 8];
    pattern kind = (pattern)(step / 8);
    startCase("%s, %zu", patternNames[kind], count);
    float *x = floatsOf(count), *generic = floatsOf(count), *table = floatsOf(count);
    fillFloats(x, count, kind);
    for (size_t i = 0; kind == patternNormal && i < count; i++) x[i] *= 30;
    c->generic->math->exponentials(x, generic, count);
    c->table->math->exponentials(x, table, count);
    sameFloats("out", generic, table, 1, count, count, 1);
    if (wantsReference() && kind != patternSpecials)
      for (size_t i = 0; i < count; i++)
        if (fabsf(x[i]) < 80) nearTo("out", i, exp(x[i]), table[i], 3e-7 * exp(x[i]));
    releaseBuffers();
  }
  finishFunction();
}

void checkComparison(const contest *c) {
  checkCompare(c);
  checkSquaredSum(c);
  checkExponentials(c);
}
