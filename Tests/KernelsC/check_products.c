// Matrix products: arranging inputs and multiplying them by every kind of weights.
#include <math.h>

#include "check.h"

// How each kind of weights looks in the file, and the type whose decoder gives its values.
typedef struct weight_kind {
  const char *name;
  quern_weights weights;
  size_t type, blockElements, blockBytes;
  int hasMinimum;
} weight_kind;

static const weight_kind kinds[] = {
    {"f32", QUERN_WEIGHTS_F32, 0, 1, 4, 0},          {"f16", QUERN_WEIGHTS_F16, 1, 1, 2, 0},
    {"bf16", QUERN_WEIGHTS_BF16, 30, 1, 2, 0},       {"q8_0", QUERN_WEIGHTS_Q8_0, 8, 32, 34, 0},
    {"q4_0", QUERN_WEIGHTS_Q4_0, 2, 32, 18, 0},      {"q4_1", QUERN_WEIGHTS_Q4_1, 3, 32, 20, 1},
    {"q5_0", QUERN_WEIGHTS_Q5_0, 6, 32, 22, 0},      {"q5_1", QUERN_WEIGHTS_Q5_1, 7, 32, 24, 1},
    {"encoded q8_0", QUERN_WEIGHTS_ENCODED, 8, 32, 34, 0},
    {"encoded q4_1", QUERN_WEIGHTS_ENCODED, 3, 32, 20, 1},
    {"encoded q4_k", QUERN_WEIGHTS_ENCODED, 12, 256, 144, 1},
};

// What the codes of the weights are: random, or at the ends, where a saturating instruction would go wrong.
typedef enum codes { codesRandom, codesLowest, codesHighest, codesOnes, codesZero, codesAtEnds, codesCount } codes;
static const char *const codeNames[codesCount] = {"random", "0x80", "0x7f", "0xff", "0x00", "any of these"};

static int isInteger(const weight_kind *k) { return k->weights >= QUERN_WEIGHTS_Q8_0; }

static uint16_t randomScale(void) {  // a half between 2^-10 and 2^-3, either sign
  uint64_t bits = randomBits();
  return (uint16_t)((bits & 0x83ff) | (5 + bits % 8009 % 7) << 10);
}

static void fillWeights(const weight_kind *k, uint8_t *rows, size_t count, codes which) {
  if (k->weights == QUERN_WEIGHTS_F32) {
    float *values = malloc(count * sizeof(float));
    fillFloats(values, count, patternNormal);
    memcpy(rows, values, count * sizeof(float));
    free(values);
    return;
  }
  for (size_t i = 0; i < count / k->blockElements; i++, rows += k->blockBytes) {
    uint16_t first = randomScale(), second = randomScale();
    if (k->weights == QUERN_WEIGHTS_BF16) first = (uint16_t)((first & 0x807f) | (120 + first % 7) << 7);
    static const uint8_t ends[] = {0x80, 0x7f, 0xff, 0x00};
    fillBytes(rows, k->blockBytes);
    for (size_t b = 0; which != codesRandom && b < k->blockBytes; b++)
      rows[b] = ends[which == codesAtEnds ? rows[b] % 4 : which - codesLowest];
    memcpy(rows, &first, 2);
    if (k->hasMinimum) memcpy(rows + 2, &second, 2);
  }
}

// MARK: inputs

typedef struct product {
  const weight_kind *kind;
  size_t rows, columns, tokens, xStride, outStride;
  uint8_t *fileRows;
  float *x, *bias, *before;
} product;

static size_t inputBytes(const product *m) {
  return isInteger(m->kind) ? m->columns / 32 * QUERN_INPUT_BLOCK_BYTES * m->tokens : m->columns * m->tokens * sizeof(float);
}

static size_t tileOf(const quern_kernels *kernels, const product *m) {
  return isInteger(m->kind) ? kernels->math->int8Tile : kernels->math->tile;
}

static void *prepare(const quern_kernels *kernels, const product *m) {
  quern_input in = {m->x, m->xStride, m->tokens, m->columns, bufferOf(inputBytes(m), 0)};
  size_t tile = tileOf(kernels, m);
  for (size_t share = (m->tokens + tile - 1) / tile; share-- > 0;)
    (isInteger(m->kind) ? kernels->math->prepareInt8 : kernels->math->prepareFloats)(&in, share, scratchArea());
  return in.out;
}

enum { blockWords = QUERN_INPUT_BLOCK_BYTES / 4 };

// Undoes the grouping by tokens: [token][column], or [token][block][blockWords].
static uint32_t *ungrouped(const quern_kernels *kernels, const product *m, const uint32_t *arranged) {
  size_t tile = tileOf(kernels, m), words = isInteger(m->kind) ? m->columns / 32 * blockWords : m->columns;
  uint32_t *out = bufferOf(words * m->tokens * 4, 0);
  for (size_t first = 0; first < m->tokens; first += tile) {
    size_t group = m->tokens - first < tile ? m->tokens - first : tile;
    for (size_t w = 0; w < words; w++)
      for (size_t t = 0; t < group; t++) out[(first + t) * words + w] = *arranged++;
  }
  return out;
}

static void checkPrepare(const contest *c, int integers) {
  static const size_t tokenCounts[] = {1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 25};
  startFunction(c, integers ? "prepareInt8" : "prepareFloats");
  for (size_t step = 0; step < 22; step++) {
    product m = {.kind = &kinds[integers ? 3 : 0], .tokens = tokenCounts[step % 11]};
    m.columns = integers ? 32 * (1 + step % 5) : (size_t[]){1, 7, 8, 17, 96, 255}[step % 6];
    m.xStride = m.columns + step % 3;
    pattern kind = (pattern)(step % patternCount);
    startCase("%s, %zu tokens of %zu", patternNames[kind], m.tokens, m.columns);
    m.x = floatsOf(m.tokens * m.xStride);
    fillFloats(m.x, m.tokens * m.xStride, kind);
    uint32_t *generic = ungrouped(c->generic, &m, prepare(c->generic, &m));
    uint32_t *table = ungrouped(c->table, &m, prepare(c->table, &m));
    size_t words = integers ? m.columns / 32 * blockWords : m.columns;
    sameFloats("arranged", (float *)generic, (float *)table, 1, words * m.tokens, words * m.tokens, kind == patternSpecials);
    for (size_t t = 0; wantsReference() && !integers && t < m.tokens; t++)
      holds("every float is in its place", !memcmp(table + t * words, m.x + t * m.xStride, words * 4));
    for (size_t i = 0; wantsReference() && integers && kind == patternNormal && i < m.tokens * m.columns; i++) {
      size_t t = i / m.columns, k = i % m.columns;
      const uint32_t *block = table + t * words + k / 32 * blockWords;
      float scale;
      memcpy(&scale, block + 10, 4);
      nearTo("code · scale", i, m.x[t * m.xStride + k], ((const int8_t *)block)[k % 32] * scale, 0.501 * scale);
    }
    releaseBuffers();
  }
  finishFunction();
}

// MARK: products

static float *multiplied(const quern_kernels *kernels, const product *m, const uint8_t *panels, size_t panelsPerTask) {
  float *out = floatsOf(m->tokens * m->outStride);
  if (m->before)
    for (size_t t = 0; t < m->tokens; t++)
      memcpy(out + t * m->outStride, m->before + t * m->rows, m->rows * sizeof *out);
  quern_product p = {
      .weights = m->kind->weights, .panels = panels, .rows = m->rows, .columns = m->columns,
      .decode = kernels->codecs->rows[m->kind->type].decode, .blockElements = m->kind->blockElements,
      .rowBytes = m->columns / m->kind->blockElements * m->kind->blockBytes, .input = prepare(kernels, m),
      .tokens = m->tokens, .out = out, .outStride = m->outStride, .bias = m->bias, .accumulate = m->before != NULL,
      .panelsPerTask = panelsPerTask,
  };
  size_t panelCount = (m->rows + QUERN_PANEL_ROWS - 1) / QUERN_PANEL_ROWS;
  for (size_t share = (panelCount + panelsPerTask - 1) / panelsPerTask; share-- > 0;)
    kernels->math->multiply(&p, share, scratchArea());
  return out;
}

static void checkAgainstDoubles(const contest *c, const product *m, const float *out) {
  float *weights = floatsOf(m->rows * m->columns);
  c->generic->codecs->rows[m->kind->type].decode(m->fileRows, weights, m->rows * m->columns);
  for (size_t t = 0; t < m->tokens; t++)
    for (size_t r = 0; r < m->rows; r++) {
      double sum = 0, magnitude = 0, rounding = 0, step = 0;
      for (size_t k = 0; k < m->columns; k++) {
        double w = weights[r * m->columns + k], x = m->x[t * m->xStride + k];
        if (isInteger(m->kind) && k % 32 == 0) {  // half a code of the input's block
          step = 0;
          for (size_t j = 0; j < 32; j++) step = fmax(step, fabs(m->x[t * m->xStride + k + j]) / 254);
        }
        sum += w * x, magnitude += fabs(w * x), rounding += fabs(w) * step;
      }
      if (m->bias) sum += m->bias[r];
      if (m->before) sum += m->before[t * m->rows + r];
      nearTo("out", t * m->rows + r, sum, out[t * m->outStride + r], 1e-5 * magnitude + 1.001 * rounding + 1e-6);
    }
}

static void checkProduct(const contest *c, const weight_kind *kind, size_t rows, size_t columns, size_t tokens,
                         pattern inputs, codes which, size_t step) {
  columns = (columns + kind->blockElements - 1) / kind->blockElements * kind->blockElements;
  product m = {.kind = kind, .rows = rows, .columns = columns, .tokens = tokens, .xStride = columns + step % 2 * 5,
               .outStride = rows + step % 3};
  startCase("%zu x %zu, %zu tokens, %s inputs, codes %s, step %zu", rows, columns, tokens, patternNames[inputs],
            codeNames[which], step);
  size_t rowBytes = columns / kind->blockElements * kind->blockBytes;
  m.fileRows = bufferOf(rows * rowBytes, step % 4);
  fillWeights(kind, m.fileRows, rows * columns, which);
  m.x = floatsOf(tokens * m.xStride);
  fillFloats(m.x, tokens * m.xStride, inputs);
  if (which != codesRandom)  // then so are the inputs
    for (size_t i = 0; i < tokens * m.xStride; i++) m.x[i] = (step % 3 ? step % 3 == 1 : randomBits() & 1) ? 1 : -1;
  if (step % 2) fillFloats(m.bias = floatsOf(rows), rows, patternNormal);
  if (step % 4 > 1) fillFloats(m.before = floatsOf(rows * tokens), rows * tokens, patternNormal);
  uint8_t *panels = m.fileRows;
  if (kind->weights != QUERN_WEIGHTS_ENCODED) {
    size_t byteCount = (rows + 15) / 16 * quern_panel_bytes(kind->weights, columns);
    panels = bufferOf(byteCount, 0);
    memset(panels, 0, byteCount);  // the rows that fill up the last panel
    size_t half = rows / 2;        // in two goes
    quern_pack(kind->weights, columns, panels, 0, half, m.fileRows);
    quern_pack(kind->weights, columns, panels, half, rows - half, m.fileRows + half * rowBytes);
  }
  float *generic = multiplied(c->generic, &m, panels, 1 + step % 2);
  float *table = multiplied(c->table, &m, panels, 1 + (step + 1) % 3);
  // Sums may be NaN, and processors differ in the sign they give it.
  sameFloats("out", generic, table, tokens, rows, m.outStride, inputs == patternSpecials || inputs == patternHuge);
  if (wantsReference() && inputs != patternSpecials && inputs != patternHuge) checkAgainstDoubles(c, &m, table);
  releaseBuffers();
}

static void checkMultiply(const contest *c, const weight_kind *kind) {
  static const size_t rowCounts[] = {1, 15, 16, 17, 33, 50, 2, 31, 32, 48};
  static const size_t columnCounts[] = {32, 544, 64, 96, 224, 1056};
  static const size_t floatColumnCounts[] = {1, 7, 16, 33, 255, 257, 600};
  static const size_t tokenCounts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 1, 25};
  static const pattern inputs[] = {patternNormal,   patternOutliers, patternSmall, patternIntegers,
                                   patternSpecials, patternHuge,     patternTiny,  patternZeros};
  startFunction(c, "multiply %s", kind->name);
  for (size_t step = 0; step < 28; step++)
    checkProduct(c, kind, rowCounts[step % 10],
                 kind->blockElements == 1 ? floatColumnCounts[step % 7] : columnCounts[step % 6],
                 tokenCounts[step % 14], inputs[step % 8], codesRandom, step);
  if (kind->blockElements > 1)
    for (size_t step = 0; step < 3 * (codesCount - 1); step++)
      checkProduct(c, kind, 16, 64, 1 + step * 2 % 13, patternConstant, (codes)(codesLowest + step / 3), step);
  // More tokens than go together at once.
  checkProduct(c, kind, 3, 2560, 130, patternNormal, codesRandom, 1);
  finishFunction();
}

void checkProducts(const contest *c) {
  checkPrepare(c, 0);
  checkPrepare(c, 1);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    if (c->generic->codecs->rows[kinds[k].type].decode) checkMultiply(c, &kinds[k]);
}
