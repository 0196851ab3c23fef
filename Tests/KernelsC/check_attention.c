// The key–value cache and attention over it.
#include <math.h>

#include "check.h"

typedef struct setting {
  size_t kvHeads, group, keyDim, valueDim, tokens, position, length;  // length: keys present
  int causal;
  size_t window;
  float softcap;
  quern_cache_element element;
  size_t rowsPerTask;
} setting;

static const setting settings[] = {
    {1, 1, 16, 16, 1, 0, 1, 1, 0, 0, QUERN_CACHE_F32, 48},
    {2, 1, 32, 32, 5, 0, 5, 1, 0, 0, QUERN_CACHE_F32, 3},
    {2, 3, 24, 40, 7, 11, 18, 1, 0, 0, QUERN_CACHE_F16, 5},
    {1, 4, 64, 64, 13, 250, 263, 1, 0, 0, QUERN_CACHE_F16, 48},
    {1, 2, 64, 64, 1, 300, 301, 1, 0, 0, QUERN_CACHE_F32, 2},
    {2, 2, 17, 5, 9, 30, 39, 1, 0, 30, QUERN_CACHE_F16, 4},
    {1, 1, 33, 31, 20, 260, 280, 1, 19, 0, QUERN_CACHE_F32, 48},
    {1, 2, 16, 48, 6, 600, 606, 1, 300, 0, QUERN_CACHE_F16, 7},
    {3, 1, 20, 20, 33, 0, 33, 0, 0, 0, QUERN_CACHE_F32, 16},
    {1, 1, 128, 128, 50, 0, 50, 1, 8, 50, QUERN_CACHE_F16, 48},
    {1, 8, 80, 96, 3, 515, 518, 1, 0, 0, QUERN_CACHE_F32, 24},
    {2, 1, 1, 1, 17, 0, 17, 1, 1, 0, QUERN_CACHE_F32, 10},
    {1, 1, 48, 48, 18, 0, 18, 0, 5, 0, QUERN_CACHE_F16, 48},
    {1, 4, 576, 512, 5, 270, 275, 1, 0, 0, QUERN_CACHE_F32, 16},
    {1, 2, 560, 500, 3, 0, 3, 1, 0, 0, QUERN_CACHE_F16, 5},
    {1, 1, 32, 32, 1, 0, 1, 1, 0, 0, QUERN_CACHE_Q8_0, 48},
    {1, 4, 64, 64, 13, 250, 263, 1, 0, 0, QUERN_CACHE_Q8_0, 48},
    {2, 3, 24, 40, 7, 11, 18, 1, 0, 0, QUERN_CACHE_Q8_0, 5},
    {1, 2, 80, 96, 6, 600, 606, 1, 300, 0, QUERN_CACHE_Q8_0, 7},
    {1, 4, 576, 512, 5, 270, 275, 1, 0, 0, QUERN_CACHE_Q8_0, 16},
    {2, 1, 1, 17, 17, 0, 17, 0, 3, 30, QUERN_CACHE_Q8_0, 10},
    {1, 1, 32, 32, 1, 0, 1, 1, 0, 0, QUERN_CACHE_Q4_0, 48},
    {1, 4, 64, 64, 13, 250, 263, 1, 0, 0, QUERN_CACHE_Q4_0, 48},
    {2, 3, 40, 24, 7, 11, 18, 1, 0, 0, QUERN_CACHE_Q4_0, 5},
    {1, 2, 112, 80, 6, 600, 606, 1, 300, 0, QUERN_CACHE_Q4_0, 7},
    {1, 2, 560, 500, 3, 270, 273, 1, 0, 0, QUERN_CACHE_Q4_0, 5},
    {2, 1, 17, 1, 17, 0, 17, 0, 3, 30, QUERN_CACHE_Q4_0, 10},
};
enum { settingCount = sizeof settings / sizeof *settings };

static size_t padded(size_t count) { return (count + 15) / 16 * 16; }

// Bytes of `dim` elements of one position; those of values are padded to 16 of them where they lie singly.
static size_t rowBytes(quern_cache_element element, size_t dim) {
  switch (element) {
    case QUERN_CACHE_F32: return dim * 4;
    case QUERN_CACHE_F16: return dim * 2;
    case QUERN_CACHE_Q8_0: return (dim + 31) / 32 * 34;
    default: return (dim + 31) / 32 * 18;
  }
}
static size_t keysByteCount(const setting *s, size_t capacity) {
  return s->kvHeads * capacity * rowBytes(s->element, s->keyDim);
}
static size_t valuesByteCount(const setting *s, size_t capacity) {
  return s->kvHeads * capacity * rowBytes(s->element, padded(s->valueDim));
}

typedef struct tensors {
  float *q, *k, *v;
  size_t qStride, kStride, vStride, outStride;
} tensors;

static tensors makeTensors(const setting *s, pattern kind, size_t step) {
  tensors t = {.qStride = s->kvHeads * s->group * s->keyDim + step % 2, .kStride = s->kvHeads * s->keyDim + step % 3,
               .vStride = s->kvHeads * s->valueDim + step % 2, .outStride = s->kvHeads * s->group * s->valueDim + step % 3};
  t.q = floatsOf(s->tokens * t.qStride);
  t.k = floatsOf(s->length * t.kStride);
  t.v = floatsOf(s->length * t.vStride);
  fillFloats(t.q, s->tokens * t.qStride, kind);
  fillFloats(t.k, s->length * t.kStride, kind);
  fillFloats(t.v, s->length * t.vStride, kind);
  return t;
}

// The whole history appended in two goes to a cache full of NaN: what was never written must never be seen.
static quern_cache appended(const quern_kernels *kernels, const setting *s, const tensors *t) {
  size_t capacity = padded(s->length + 3);
  size_t keyBytes = keysByteCount(s, capacity), valueBytes = valuesByteCount(s, capacity);
  quern_cache cache = {bufferOf(keyBytes, 0), bufferOf(valueBytes, 0), s->element, s->kvHeads, capacity,
                       s->keyDim, s->valueDim};
  memset(cache.keys, 0xff, keyBytes);
  memset(cache.values, 0xff, valueBytes);
  size_t half = s->length / 2;
  quern_append first = {cache, t->k, t->v, t->kStride, t->vStride, 0, half};
  quern_append second = {cache, t->k + half * t->kStride, t->v + half * t->vStride, t->kStride, t->vStride, half,
                         s->length - half};
  for (size_t share = s->kvHeads; share-- > 0;) {
    if (half) kernels->math->append(&first, share, scratchArea());
    kernels->math->append(&second, share, scratchArea());
  }
  return cache;
}

static double cached(const void *base, size_t at, quern_cache_element element) {
  return element == QUERN_CACHE_F32 ? ((const float *)base)[at] : halfToFloat(((const uint16_t *)base)[at]);
}
// Element i of a block, of `positions` that are woven together the one in lane `lane`.
static double packed(const uint8_t *block, size_t positions, size_t lane, size_t i, quern_cache_element element) {
  uint16_t scale;
  memcpy(&scale, block + 2 * lane, 2);
  const uint8_t *codes = block + 2 * positions + lane;
  if (element == QUERN_CACHE_Q8_0) return (float)((int8_t)codes[i * positions] * halfToFloat(scale));
  int nibble = codes[i % 16 * positions] >> (i < 16 ? 0 : 4) & 15;
  return (float)((float)(nibble - 8) * halfToFloat(scale));
}
static double keyOf(const quern_cache *c, size_t head, size_t position, size_t d) {
  size_t panel = head * c->capacity + position / 16 * 16, lane = position % 16;
  if (c->element < QUERN_CACHE_Q8_0) return cached(c->keys, panel * c->keyDim + d * 16 + lane, c->element);
  const uint8_t *blocks = (const uint8_t *)c->keys + panel * rowBytes(c->element, c->keyDim);
  return packed(blocks + 16 * rowBytes(c->element, d / 32 * 32), 16, lane, d % 32, c->element);
}
static double valueOf(const quern_cache *c, size_t head, size_t position, size_t d) {
  size_t row = head * c->capacity + position;
  if (c->element < QUERN_CACHE_Q8_0) return cached(c->values, row * padded(c->valueDim) + d, c->element);
  const uint8_t *blocks = (const uint8_t *)c->values + row * rowBytes(c->element, c->valueDim);
  return packed(blocks + rowBytes(c->element, d / 32 * 32), 1, 0, d % 32, c->element);
}

// What the cache may make of element d of a row: half a step of its block, and what rounding the step to half adds.
// Q4_0 has no code for the extreme's own size with the other sign: a whole step there.
static double cacheError(quern_cache_element element, const float *row, size_t dim, size_t d) {
  if (element == QUERN_CACHE_F32) return 0;
  if (element == QUERN_CACHE_F16) return fabs(row[d]) / 2048 + 3e-8;
  double most = 0;
  for (size_t i = d / 32 * 32; i < dim && i < d / 32 * 32 + 32; i++) most = fmax(most, fabs(row[i]));
  double step = most / (element == QUERN_CACHE_Q8_0 ? 127 : 8);
  return step * (fabs(row[d]) > 7.5 * step && element == QUERN_CACHE_Q4_0 ? 1 : 0.5) + fabs(row[d]) / 2000 + 128 * 3e-8;
}

static void checkAppend(const contest *c) {
  startFunction(c, "append");
  for (size_t step = 0; step < 2 * settingCount; step++) {
    const setting *s = &settings[step % settingCount];
    pattern kind = (pattern)(step % patternCount);
    startCase("setting %zu, %s", step % settingCount, patternNames[kind]);
    tensors t = makeTensors(s, kind, step);
    quern_cache generic = appended(c->generic, s, &t), table = appended(c->table, s, &t);
    sameBytes("keys", generic.keys, table.keys, keysByteCount(s, generic.capacity));
    sameBytes("values", generic.values, table.values, valuesByteCount(s, generic.capacity));
    if (wantsReference() && kind < patternTiny)
      for (size_t head = 0; head < s->kvHeads; head++)
        for (size_t i = 0; i < s->length; i++) {
          const float *k = t.k + i * t.kStride + head * s->keyDim, *v = t.v + i * t.vStride + head * s->valueDim;
          for (size_t d = 0; d < s->keyDim; d++)
            nearTo("key", d, k[d], keyOf(&table, head, i, d), cacheError(s->element, k, s->keyDim, d));
          for (size_t d = 0; d < s->valueDim; d++)
            nearTo("value", d, v[d], valueOf(&table, head, i, d), cacheError(s->element, v, s->valueDim, d));
        }
    releaseBuffers();
  }
  finishFunction();
}

// Every other case has a bias: of each head, query and key, or of head and distance alone.
typedef struct scoreBias {
  float *floats;
  size_t offset;
  ptrdiff_t headStride, tokenStride;
} scoreBias;

static scoreBias makeBias(const setting *s, size_t step) {
  scoreBias b = {0};
  size_t heads = s->kvHeads * s->group;
  if (step % 2 == 0) return b;
  size_t keys = s->length + step % 3, distances = s->length + s->position + s->tokens;
  size_t count = step % 4 == 1 ? heads * s->tokens * keys : heads * distances;
  b.floats = floatsOf(count);
  fillFloats(b.floats, count, patternNormal);
  if (step % 4 == 1) b.headStride = (ptrdiff_t)(s->tokens * keys), b.tokenStride = (ptrdiff_t)keys;
  else b.headStride = (ptrdiff_t)distances, b.tokenStride = -1, b.offset = s->tokens;
  return b;
}

static void attendInDoubles(const quern_attention *p, size_t token, size_t head, double *out) {
  const quern_cache *c = &p->cache;
  size_t group = p->heads / c->kvHeads, kvHead = head / group, position = p->position + token;
  double scores[1024], most = -INFINITY, sum = 0;
  for (size_t j = 0; j < p->length; j++) {
    scores[j] = -INFINITY;
    if (p->causal && j > position) continue;
    if (p->window && j + p->window <= position) continue;
    double dot = 0;
    for (size_t d = 0; d < c->keyDim; d++)
      dot += p->q[token * p->qStride + head * c->keyDim + d] * keyOf(c, kvHead, j, d);
    scores[j] = dot * p->scale;
    if (p->softcap != 0) scores[j] = p->softcap * tanh(scores[j] / p->softcap);
    if (p->bias)
      scores[j] += p->bias[(ptrdiff_t)head * p->biasHeadStride + (ptrdiff_t)token * p->biasTokenStride + (ptrdiff_t)j];
    most = fmax(most, scores[j]);
  }
  for (size_t d = 0; d < c->valueDim; d++) out[d] = 0;
  for (size_t j = 0; j < p->length; j++) {
    double e = exp(scores[j] - most);
    sum += e;
    for (size_t d = 0; e > 0 && d < c->valueDim; d++) out[d] += e * valueOf(c, kvHead, j, d);
  }
  for (size_t d = 0; d < c->valueDim; d++) out[d] = sum > 0 ? out[d] / sum : 0;
}

static float *attended(const quern_kernels *kernels, const setting *s, const tensors *t, const scoreBias *bias,
                       size_t rowsPerTask, quern_attention *p) {
  size_t rows = s->tokens * s->group;
  *p = (quern_attention){
      .cache = appended(kernels, s, t), .q = t->q, .out = floatsOf(s->tokens * t->outStride), .qStride = t->qStride,
      .outStride = t->outStride, .heads = s->kvHeads * s->group, .tokens = s->tokens, .position = s->position,
      .length = s->length, .scale = 1 / sqrtf((float)s->keyDim), .softcap = s->softcap, .causal = s->causal,
      .window = s->window, .rowsPerTask = rowsPerTask, .bias = bias->floats ? bias->floats + bias->offset : NULL,
      .biasHeadStride = bias->headStride, .biasTokenStride = bias->tokenStride,
  };
  for (size_t share = s->kvHeads * ((rows + rowsPerTask - 1) / rowsPerTask); share-- > 0;)
    kernels->math->attention(p, share, scratchArea());
  return p->out;
}

static void checkAttend(const contest *c) {
  static const pattern kinds[] = {patternNormal, patternOutliers, patternIntegers, patternSmall, patternHuge};
  startFunction(c, "attention");
  for (size_t step = 0; step < 2 * settingCount; step++) {
    const setting *s = &settings[step % settingCount];
    pattern kind = step < settingCount ? patternNormal : kinds[step % 5];
    if (kind == patternHuge && s->element != QUERN_CACHE_F32) kind = patternConstant;
    startCase("setting %zu, %s", step % settingCount, patternNames[kind]);
    tensors t = makeTensors(s, kind, step);
    size_t columns = s->kvHeads * s->group * s->valueDim;
    scoreBias bias = makeBias(s, step);
    quern_attention p;
    float *generic = attended(c->generic, s, &t, &bias, s->rowsPerTask, &p);
    float *table = attended(c->table, s, &t, &bias, 1 + (s->rowsPerTask + step) % QUERN_ATTENTION_ROWS, &p);
    sameFloats("out", generic, table, s->tokens, columns, t.outStride, kind == patternHuge);
    for (size_t token = 0; wantsReference() && kind != patternHuge && token < s->tokens; token++)
      for (size_t head = 0; head < p.heads; head++) {
        double expected[512], largest = 1;
        attendInDoubles(&p, token, head, expected);
        for (size_t d = 0; d < s->valueDim; d++) largest = fmax(largest, fabs(expected[d]));
        // Scores in the hundreds carry an error that the exponential multiplies.
        for (size_t d = 0; d < s->valueDim; d++)
          nearTo("out", (token * p.heads + head) * s->valueDim + d, expected[d],
                 table[token * t.outStride + head * s->valueDim + d], (kind == patternOutliers ? 1e-2 : 2e-5) * largest);
      }
    releaseBuffers();
  }
  finishFunction();
}

void checkAttention(const contest *c) {
  checkAppend(c);
  checkAttend(c);
}
