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
};
enum { settingCount = sizeof settings / sizeof *settings };

static size_t padded(size_t count) { return (count + 15) / 16 * 16; }

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
  size_t capacity = padded(s->length + 3), bytes = s->element == QUERN_CACHE_F32 ? 4 : 2;
  size_t keyBytes = s->kvHeads * capacity * s->keyDim * bytes;
  size_t valueBytes = s->kvHeads * capacity * padded(s->valueDim) * bytes;
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
static double keyOf(const quern_cache *c, size_t head, size_t position, size_t d) {
  return cached(c->keys, (head * c->capacity + position / 16 * 16) * c->keyDim + d * 16 + position % 16, c->element);
}
static double valueOf(const quern_cache *c, size_t head, size_t position, size_t d) {
  return cached(c->values, (head * c->capacity + position) * padded(c->valueDim) + d, c->element);
}

static void checkAppend(const contest *c) {
  startFunction(c, "append");
  for (size_t step = 0; step < 2 * settingCount; step++) {
    const setting *s = &settings[step % settingCount];
    pattern kind = (pattern)(step % patternCount);
    startCase("setting %zu, %s", step % settingCount, patternNames[kind]);
    tensors t = makeTensors(s, kind, step);
    quern_cache generic = appended(c->generic, s, &t), table = appended(c->table, s, &t);
    size_t bytes = s->element == QUERN_CACHE_F32 ? 4 : 2;
    sameBytes("keys", generic.keys, table.keys, s->kvHeads * generic.capacity * s->keyDim * bytes);
    sameBytes("values", generic.values, table.values, s->kvHeads * generic.capacity * padded(s->valueDim) * bytes);
    if (wantsReference() && kind < patternTiny)
      for (size_t head = 0; head < s->kvHeads; head++)
        for (size_t i = 0; i < s->length; i++) {
          for (size_t d = 0; d < s->keyDim; d++) {
            double x = t.k[i * t.kStride + head * s->keyDim + d];
            nearTo("key", d, x, keyOf(&table, head, i, d), s->element == QUERN_CACHE_F32 ? 0 : fabs(x) / 2048 + 3e-8);
          }
          for (size_t d = 0; d < s->valueDim; d++) {
            double x = t.v[i * t.vStride + head * s->valueDim + d];
            nearTo("value", d, x, valueOf(&table, head, i, d), s->element == QUERN_CACHE_F32 ? 0 : fabs(x) / 2048 + 3e-8);
          }
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
    if (kind == patternHuge && s->element == QUERN_CACHE_F16) kind = patternConstant;
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
