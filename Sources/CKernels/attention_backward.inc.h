// The gradient of causal attention, head by head: probabilities are computed again, nothing of size tokens² is kept.
//
// Sixteen queries go together. Where keys are walked, a lane is a query; where queries are, a lane is a dimension.
// Sums keep BACK_CHAINS chains in registers; each chain ascends, so their number changes no bit.

#if defined(ISA_AVX512)
enum { BACK_CHAINS = 8 };
#else
enum { BACK_CHAINS = 4 };
#endif

typedef struct back_scratch {
  f32x16 queries[largestKeyDim], gradients[largestValueDim];           // [dimension], lanes are queries
  float queryRows[16 * largestKeyDim], gradientRows[16 * largestValueDim];  // [query][dimension, padded to 16]
  f32x16 sums[];  // shares [key], then slopes [key]
} back_scratch;
_Static_assert(sizeof(back_scratch) + 2 * 64 * (size_t)QUERN_BACKWARD_TOKENS <= QUERN_SCRATCH_BYTES,
               "the scratch area is too small");

// Rows of one head among all: `row` floats from token to token, `dim` of them.
typedef struct head_rows { const float *at; size_t row, dim; } head_rows;

// Sixteen tokens from `first` on (those after the last are zero), as rows and as columns.
INLINE void back_load(head_rows from, size_t first, size_t tokens, float *rows, f32x16 *columns) {
  size_t stride = padded(from.dim);
  memset(rows, 0, 16 * stride * sizeof *rows);
  for (size_t lane = 0; lane < 16 && first + lane < tokens; lane++)
    memcpy(rows + lane * stride, from.at + (first + lane) * from.row, from.dim * sizeof *rows);
  for (size_t d = 0; d < from.dim; d++)
    for (size_t lane = 0; lane < 16; lane++) columns[d][lane] = rows[lane * stride + d];
}

// out[key] = Σ_d columns[d] · key[d] for `count` keys from `key` on.
INLINE void back_dots(const f32x16 *columns, head_rows keys, size_t key, size_t count, f32x16 *out) {
  const float *at = keys.at + key * keys.row;
  f32x16 f[BACK_CHAINS];
  for (size_t i = 0; i < count; i++) f[i] = f32x16_splat(0);
  for (size_t d = 0; d < keys.dim; d++)
    for (size_t i = 0; i < count; i++) f[i] = f32x16_fma(columns[d], f32x16_splat(at[i * keys.row + d]), f[i]);
  for (size_t i = 0; i < count; i++) out[key + i] = f[i];
}

// Σ_key slopes[key] · key[d] for `count` dimensions from d on, to the queries' rows.
INLINE void back_queries(const f32x16 *slopes, head_rows keys, size_t from, size_t end, size_t d, size_t count, float *to,
                         size_t row, size_t queries) {
  f32x16 f[BACK_CHAINS];
  for (size_t i = 0; i < count; i++) f[i] = f32x16_splat(0);
  for (size_t j = from; j < end; j++)
    for (size_t i = 0; i < count; i++) f[i] = f32x16_fma(slopes[j], f32x16_splat(keys.at[j * keys.row + d + i]), f[i]);
  for (size_t lane = 0; lane < queries; lane++)
    for (size_t i = 0; i < count; i++) to[lane * row + d + i] = f[i][lane];
}

// to[key][d] += Σ_query weights[key][query] · rows[query][d] for `count` keys from `key` on.
INLINE void back_keys(const f32x16 *weights, const float *rows, size_t dim, size_t key, size_t count, float *to, size_t row) {
  size_t stride = padded(dim);
  for (size_t d = 0; d < dim; d += 16) {
    f32x16 f[BACK_CHAINS];
    for (size_t i = 0; i < count; i++) f[i] = f32x16_load_upto(to + (key + i) * row + d, dim - d);
    for (size_t lane = 0; lane < 16; lane++) {
      f32x16 x = f32x16_load(rows + lane * stride + d);
      for (size_t i = 0; i < count; i++) f[i] = f32x16_fma(x, f32x16_splat(((const float *)&weights[key + i])[lane]), f[i]);
    }
    for (size_t i = 0; i < count; i++) f32x16_store_upto(to + (key + i) * row + d, f[i], dim - d);
  }
}

// Calls F(…, i, count) for all i of from ..< end, BACK_CHAINS at a time and then one by one.
#define BACK_EACH(i, from, end, F)                                   \
  do {                                                               \
    size_t i = (from);                                               \
    for (; i + BACK_CHAINS <= (end); i += BACK_CHAINS) F(BACK_CHAINS); \
    for (; i < (end); i++) F(1);                                     \
  } while (0)

// From dots of queries and keys, and of output gradients and values, to probabilities and the scores' gradients.
INLINE void back_softmax(const quern_attention_backward *p, size_t first, size_t from, size_t end, f32x16 *shares,
                         f32x16 *slopes) {
  i32x16 token = (i32x16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + (int32_t)first;
  // A lane without a query sees what the last one sees, and its rows of zeros add nothing.
  i32x16 last = i32x16_splat((int32_t)p->tokens - 1), late = token > last;
  token = (last & late) | (token & ~late);
  i32x16 lowest = p->window ? token - (int32_t)p->window + 1 : i32x16_splat(0);
  f32x16 most = f32x16_splat(-__builtin_inff()), total = f32x16_splat(0), mean = total;
  for (size_t j = from; j < end; j++) {
    i32x16 seen = (token >= (int32_t)j) & (lowest <= (int32_t)j);
    shares[j] = f32x16_select(seen, shares[j] * p->scale, f32x16_splat(-__builtin_inff()));
    most = f32x16_max(shares[j], most);
  }
  for (size_t j = from; j < end; j++) {
    i32x16 seen = (token >= (int32_t)j) & (lowest <= (int32_t)j);
    shares[j] = f32x16_select(seen, f32x16_exp(shares[j] - most), f32x16_splat(0));
    total += shares[j];
    mean = f32x16_fma(shares[j], slopes[j], mean);
  }
  mean /= total;
  f32x16 share = 1 / total;
  for (size_t j = from; j < end; j++) {
    // Most keys get next to nothing: their part of any sum is lost in its rounding, and denormals are slow.
    f32x16 value = shares[j] * share;
    shares[j] = f32x16_select(value < 0x1p-30f, f32x16_splat(0), value);
    slopes[j] = shares[j] * (slopes[j] - mean) * p->scale;
  }
}

// index: the query head.
static void attention_backward(const void *arguments, size_t index, void *scratch) {
  const quern_attention_backward *p = arguments;
  back_scratch *s = scratch;
  size_t kd = p->keyDim, vd = p->valueDim, kvHead = index / (p->heads / p->kvHeads);
  size_t keyRow = p->heads * kd, valueRow = p->heads * vd;
  head_rows queries = {p->q + index * kd, keyRow, kd}, gradients = {p->dOut + index * vd, valueRow, vd};
  head_rows keys = {p->k + kvHead * kd, p->kvHeads * kd, kd}, values = {p->v + kvHead * vd, p->kvHeads * vd, vd};
  float *dKeys = p->dk + index * kd, *dValues = p->dv + index * vd;
  for (size_t t = 0; t < p->tokens; t++) {
    memset(dKeys + t * keyRow, 0, kd * sizeof(float));
    memset(dValues + t * valueRow, 0, vd * sizeof(float));
  }
  f32x16 *shares = s->sums, *slopes = shares + p->tokens;
  for (size_t first = 0; first < p->tokens; first += 16) {
    size_t end = least(first + 16, p->tokens), from = p->window && first + 1 > p->window ? first + 1 - p->window : 0;
    back_load(queries, first, p->tokens, s->queryRows, s->queries);
    back_load(gradients, first, p->tokens, s->gradientRows, s->gradients);
#define DOTS(COUNT) (back_dots(s->queries, keys, j, COUNT, shares), back_dots(s->gradients, values, j, COUNT, slopes))
    BACK_EACH(j, from, end, DOTS);
    back_softmax(p, first, from, end, shares, slopes);
    float *dQueries = p->dq + first * keyRow + index * kd;
#define QUERIES(COUNT) back_queries(slopes, keys, from, end, d, COUNT, dQueries, keyRow, end - first)
    BACK_EACH(d, 0, kd, QUERIES);
#define KEYS(COUNT)                                              \
  (back_keys(slopes, s->queryRows, kd, j, COUNT, dKeys, keyRow), \
   back_keys(shares, s->gradientRows, vd, j, COUNT, dValues, valueRow))
    BACK_EACH(j, from, end, KEYS);
#undef DOTS
#undef QUERIES
#undef KEYS
  }
}
