// Operations on rows, and rotary positions.
#include <math.h>

#include "check.h"

// MARK: rows

// What one entry needs besides x, and its value in double arithmetic.
typedef void reference(const quern_rows *p, const float *x, const float *y, double *out);
typedef struct operation {
  const char *name;
  size_t entry;  // offset in the table
  int usesY, usesWeight, usesBias, hasUnary;
  reference *reference;
  double tolerance;  // relative to the largest magnitude of the row's results
} operation;

static double unaryOf(quern_unary kind, double x) {
  switch (kind) {
    case QUERN_RELU: return x > 0 ? x : 0;
    case QUERN_GELU: return x * 0.5 * erfc(-x * 0.7071067811865475244);
    case QUERN_GELU_TANH: return 0.5 * x * (1 + tanh(0.7978845608028653559 * (x + 0.044715 * x * x * x)));
    case QUERN_GELU_QUICK: return x / (1 + exp(-1.702 * x));
    case QUERN_SILU: return x / (1 + exp(-x));
    case QUERN_SIGMOID: return 1 / (1 + exp(-x));
    case QUERN_TANH: return tanh(x);
  }
  return NAN;
}

#define FOR_COLUMNS for (size_t k = 0; k < p->columns; k++)

static void rmsNormOf(const quern_rows *p, const float *x, const float *y, double *out) {
  double squares = 0;
  (void)y;
  FOR_COLUMNS squares += (double)x[k] * x[k];
  double factor = 1 / sqrt(squares / (double)p->columns + p->epsilon);
  FOR_COLUMNS out[k] = x[k] * factor * (p->weight ? p->weight[k] : 1);
}
static void layerNormOf(const quern_rows *p, const float *x, const float *y, double *out) {
  double sum = 0, squares = 0;
  (void)y;
  FOR_COLUMNS sum += x[k];
  double mean = sum / (double)p->columns;
  FOR_COLUMNS squares += (x[k] - mean) * (x[k] - mean);
  double factor = 1 / sqrt(squares / (double)p->columns + p->epsilon);
  FOR_COLUMNS out[k] = (x[k] - mean) * factor * (p->weight ? p->weight[k] : 1) + (p->bias ? p->bias[k] : 0);
}
static void softmaxOf(const quern_rows *p, const float *x, const float *y, double *out) {
  double most = -INFINITY, sum = 0;
  (void)y;
  FOR_COLUMNS most = fmax(most, (double)x[k] * p->factor);
  FOR_COLUMNS sum += out[k] = exp((double)x[k] * p->factor - most);
  FOR_COLUMNS out[k] /= sum;
}
static void unaryRowOf(const quern_rows *p, const float *x, const float *y, double *out) {
  (void)y;
  FOR_COLUMNS out[k] = unaryOf(p->unary, x[k]);
}
static void gateOf(const quern_rows *p, const float *x, const float *y, double *out) {
  FOR_COLUMNS out[k] = unaryOf(p->unary, x[k]) * y[k];
}
static void addOf(const quern_rows *p, const float *x, const float *y, double *out) {
  FOR_COLUMNS out[k] = x[k] + (double)p->factor * y[k];
}
static void multiplyRowsOf(const quern_rows *p, const float *x, const float *y, double *out) {
  FOR_COLUMNS out[k] = (double)x[k] * y[k];
}
static void scaleOf(const quern_rows *p, const float *x, const float *y, double *out) {
  (void)y;
  FOR_COLUMNS out[k] = (double)x[k] * p->factor;
}
static void softcapOf(const quern_rows *p, const float *x, const float *y, double *out) {
  (void)y;
  FOR_COLUMNS out[k] = p->factor * tanh((double)x[k] / p->factor);
}
static void addBiasOf(const quern_rows *p, const float *x, const float *y, double *out) {
  (void)y;
  FOR_COLUMNS out[k] = (double)x[k] + p->bias[k];
}

#define ENTRY(NAME) #NAME, offsetof(quern_math_table, NAME)
static const operation operations[] = {
    {ENTRY(rmsNorm), 0, 1, 0, 0, rmsNormOf, 1e-5},     {ENTRY(layerNorm), 0, 1, 1, 0, layerNormOf, 1e-4},
    {ENTRY(softmax), 0, 0, 0, 0, softmaxOf, 1e-5},     {ENTRY(unary), 0, 0, 0, 1, unaryRowOf, 1e-6},
    {ENTRY(gate), 1, 0, 0, 1, gateOf, 1e-6},           {ENTRY(add), 1, 0, 0, 0, addOf, 1e-6},
    {ENTRY(multiplyRows), 1, 0, 0, 0, multiplyRowsOf, 1e-6}, {ENTRY(scale), 0, 0, 0, 0, scaleOf, 1e-6},
    {ENTRY(softcap), 0, 0, 0, 0, softcapOf, 1e-6},     {ENTRY(addBias), 0, 0, 1, 0, addBiasOf, 1e-6},
};

static quern_task *entryOf(const quern_kernels *kernels, size_t offset) {
  quern_task *task;
  memcpy(&task, (const char *)kernels->math + offset, sizeof task);
  return task;
}

static void runShares(quern_task *task, const quern_rows *p) {
  for (size_t share = (p->rows + p->rowsPerTask - 1) / p->rowsPerTask; share-- > 0;) task(p, share, scratchArea());
}

static void checkRowsCase(const contest *c, const operation *op, size_t rows, size_t columns, pattern kind,
                          size_t step) {
  // Norms also go part by part, each part with the same weight or one of its own.
  size_t parts = op->usesWeight ? 1 + step / 2 % 3 : 1, total = columns * parts, stride = total + step % 3;
  size_t weightStride = step / 4 % 2 ? columns : 0;
  startCase("%s, %zu x %zu x %zu, unary %zu, step %zu", patternNames[kind], rows, parts, columns, step % 7, step);
  float *x = floatsOf(rows * stride), *y = floatsOf(rows * stride);
  float *weight = floatsOf(total), *bias = floatsOf(columns);
  float *generic = floatsOf(rows * stride), *table = floatsOf(rows * stride);
  fillFloats(x, rows * stride, kind);
  fillFloats(y, rows * stride, kind == patternSpecials ? kind : patternNormal);
  // Arm's maximum turns a signaling NaN into a quiet one where x86-64's drops it.
  for (size_t i = 0; i < rows * stride; i++)
    if (isnan(x[i])) x[i] = NAN;
  fillFloats(weight, total, patternNormal);
  fillFloats(bias, columns, patternNormal);
  quern_rows p = {
      .out = generic, .x = x, .y = op->usesY ? y : NULL, .outStride = stride, .xStride = stride, .yStride = stride,
      .rows = rows * parts, .columns = columns, .parts = parts, .weightStride = weightStride, .weight = op->usesWeight && step % 2 ? weight : NULL,
      .bias = op->usesBias && (step % 3 || op->reference == addBiasOf) ? bias : NULL, .epsilon = 1e-5f,
      .factor = step % 4 ? 0.3f + (float)(step % 5) : 1, .unary = op->hasUnary ? (quern_unary)(step % 7) : QUERN_RELU,
      .rowsPerTask = 1 + step % 4,
  };
  runShares(entryOf(c->generic, op->entry), &p);
  p.out = table;
  p.rowsPerTask = 1 + (step + 1) % 3;
  runShares(entryOf(c->table, op->entry), &p);
  // Arithmetic on a NaN may keep either operand's payload.
  sameFloats("out", generic, table, rows, total, stride, 1);
  if (wantsReference() && kind != patternSpecials && kind != patternHuge && kind != patternTiny) {
    double *expected = malloc(columns * sizeof *expected);
    for (size_t r = 0; r < rows * parts; r++) {
      size_t at = r / parts * stride + r % parts * columns;
      quern_rows part = p;
      if (part.weight) part.weight += r % parts * weightStride;
      op->reference(&part, x + at, y + at, expected);
      double largest = 0;
      for (size_t k = 0; k < columns; k++) largest = fmax(largest, fabs(expected[k]));
      for (size_t k = 0; k < columns; k++)
        nearTo("out", r * columns + k, expected[k], table[at + k], op->tolerance * (largest + 1e-3));
    }
    free(expected);
  }
  releaseBuffers();
}

// Rows looked up, and rows added where an index says.
static void checkIndexedCase(const contest *c, int scatters, size_t rows, size_t columns, size_t step) {
  size_t stride = columns + step % 3, all = rows + step % 4;
  startCase("%zu of %zu x %zu, step %zu", rows, all, columns, step);
  float *x = floatsOf(all * stride), *factors = floatsOf(rows), *before = floatsOf(all * stride);
  float *generic = floatsOf(all * stride), *table = floatsOf(all * stride);
  int32_t *index = bufferOf(rows * sizeof *index, 0);
  fillFloats(x, all * stride, patternNormal);
  fillFloats(before, all * stride, patternNormal);
  fillFloats(factors, rows, patternNormal);
  memcpy(generic, before, all * stride * sizeof *before);
  memcpy(table, before, all * stride * sizeof *before);
  // No row twice: multiples of a number that has no divisor in common with `all`.
  size_t gap = all > 1 ? all - 1 : 1;
  for (size_t r = 0; r < rows; r++) index[r] = (int32_t)((r * gap + step) % all);
  quern_rows p = {.out = generic, .x = x, .outStride = stride, .xStride = stride, .rows = rows, .columns = columns,
                  .index = index, .factors = factors, .rowsPerTask = 1 + step % 3};
  runShares(scatters ? c->generic->math->scatterAdd : c->generic->math->gather, &p);
  p.out = table;
  p.rowsPerTask = 1 + (step + 1) % 3;
  runShares(scatters ? c->table->math->scatterAdd : c->table->math->gather, &p);
  sameFloats("out", generic, table, 1, all * stride, all * stride, 0);
  for (size_t r = 0; wantsReference() && r < rows; r++)
    for (size_t k = 0; k < columns; k++) {
      size_t at = (size_t)index[r] * stride + k;
      if (scatters) nearTo("out", at, before[at] + (double)factors[r] * x[r * stride + k], table[at], 1e-6);
      else nearTo("out", r * stride + k, x[at], table[r * stride + k], 0);
    }
  releaseBuffers();
}

static void checkIndexed(const contest *c, int scatters) {
  static const size_t lengths[] = {1, 7, 16, 17, 64, 255};
  startFunction(c, scatters ? "scatterAdd" : "gather");
  for (size_t step = 0; step < 24; step++) checkIndexedCase(c, scatters, 1 + step % 7, lengths[step % 6], step);
  finishFunction();
}

void checkRows(const contest *c) {
  checkIndexed(c, 0);
  checkIndexed(c, 1);
  static const size_t lengths[] = {1, 7, 8, 15, 16, 17, 31, 33, 64, 255, 256, 1000};
  for (size_t o = 0; o < sizeof operations / sizeof *operations; o++) {
    startFunction(c, "%s", operations[o].name);
    for (size_t step = 0; step < 84; step++)  // 12 lengths, 7 functions, all patterns
      checkRowsCase(c, &operations[o], 1 + step % 5, lengths[step % 12], (pattern)(step % patternCount), step);
    finishFunction();
  }
}

// MARK: rotary positions

static void checkRopeCase(const contest *c, size_t tokens, size_t heads, size_t headDim, size_t pairs, size_t step) {
  size_t stride = heads * headDim + step % 2 * 3, position = step * 37;
  startCase("%zu tokens, %zu heads of %zu, %zu pairs, step %zu", tokens, heads, headDim, pairs, step);
  float *generic = floatsOf(tokens * stride), *table = floatsOf(tokens * stride), *before = floatsOf(tokens * stride);
  float *frequencies = floatsOf(pairs), *cosines = floatsOf(pairs * (position + tokens));
  float *sines = floatsOf(pairs * (position + tokens));
  fillFloats(before, tokens * stride, patternNormal);
  memcpy(generic, before, tokens * stride * sizeof *before);
  memcpy(table, before, tokens * stride * sizeof *before);
  float frequency = 1;
  for (size_t j = 0; j < pairs; j++, frequency *= 0.75f) frequencies[j] = frequency;
  quern_rope_table(frequencies, pairs, 0, position + tokens, 1, cosines, sines);
  // Positions one by one go backwards.
  int32_t *positions = bufferOf(tokens * sizeof *positions, 0);
  for (size_t t = 0; t < tokens; t++) positions[t] = (int32_t)(position + tokens - 1 - t);
  quern_rope p = {.x = generic, .xStride = stride, .tokens = tokens, .heads = heads, .headDim = headDim,
                  .pairs = pairs, .cosines = cosines, .sines = sines, .position = position,
                  .interleaved = step / 2 % 2, .rowsPerTask = 1 + step % 3,
                  .positions = step % 3 == 2 ? positions : NULL};
  for (size_t share = 0; share < (tokens + p.rowsPerTask - 1) / p.rowsPerTask; share++)
    c->generic->math->rope(&p, share, scratchArea());
  p.x = table;
  p.rowsPerTask = 2;
  for (size_t share = 0; share < (tokens + 1) / 2; share++) c->table->math->rope(&p, share, scratchArea());
  sameFloats("x", generic, table, 1, tokens * stride, tokens * stride, 0);
  if (wantsReference())
    for (size_t i = 0; i < tokens * stride; i++) {
      size_t t = i / stride, k = i % stride, h = k / headDim, d = k % headDim;
      double expected = before[i];
      if (h < heads && d < 2 * pairs) {
        size_t pair = p.interleaved ? d / 2 : d % pairs, second = p.interleaved ? d % 2 : d >= pairs;
        const float *head = before + t * stride + h * headDim;
        double a = head[p.interleaved ? 2 * pair : pair], b = head[p.interleaved ? 2 * pair + 1 : pair + pairs];
        double angle = (float)(p.positions ? (size_t)positions[t] : position + t) * frequencies[pair];
        expected = second ? a * sin(angle) + b * cos(angle) : a * cos(angle) - b * sin(angle);
      }
      nearTo("x", i, expected, table[i], 1e-5);
    }
  releaseBuffers();
}

void checkRope(const contest *c) {
  startFunction(c, "rope");
  for (size_t step = 0; step < 12; step++) {
    size_t pairs = (size_t[]){1, 4, 7, 8, 16, 24}[step % 6];
    checkRopeCase(c, 1 + step % 5, 1 + step % 3, 2 * pairs + step % 2 * 5, pairs, step);
  }
  finishFunction();
}
