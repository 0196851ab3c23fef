// Operations on rows: norms, activations, softmax, rotary positions.
#pragma once
#include "transcendental.inc.h"

// The last, short vector of a row: missing lanes are zero.
INLINE f32x16 f32x16_load_part(const float *p, size_t n) {
  float lanes[16] = {0};
  memcpy(lanes, p, n * sizeof *p);
  return f32x16_load(lanes);
}
INLINE void f32x16_store_part(float *p, f32x16 v, size_t n) { memcpy(p, &v, n * sizeof *p); }
INLINE f32x16 f32x16_load_upto(const float *p, size_t n) { return n >= 16 ? f32x16_load(p) : f32x16_load_part(p, n); }
INLINE void f32x16_store_upto(float *p, f32x16 v, size_t n) {
  if (n >= 16) f32x16_store(p, v);
  else f32x16_store_part(p, v, n);
}
INLINE i32x16 i32x16_lanes_below(size_t n) {
  return (i32x16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} < (int32_t)(n < 16 ? n : 16);
}

#define FOR_ROWS(r)                                                                    \
  const quern_rows *p = arguments;                                                     \
  (void)scratch;                                                                       \
  size_t n = p->columns, end = (index + 1) * p->rowsPerTask;                           \
  for (size_t r = index * p->rowsPerTask; r < (end < p->rows ? end : p->rows); r++)

static void rms_norm(const void *arguments, size_t index, void *scratch) {
  FOR_ROWS(r) {
    size_t parts = p->parts ? p->parts : 1, part = r % parts;
    const float *x = p->x + r / parts * p->xStride + part * n;
    float *out = p->out + r / parts * p->outStride + part * n;
    const float *weight = p->weight ? p->weight + part * p->weightStride : NULL;
    f32x16 squares = f32x16_splat(0);
    for (size_t k = 0; k < n; k += 16) {
      f32x16 v = f32x16_load_upto(x + k, n - k);
      squares = f32x16_fma(v, v, squares);
    }
    float factor = 1.0f / __builtin_sqrtf(f32x16_sum(squares) / (float)n + p->epsilon);
    for (size_t k = 0; k < n; k += 16) {
      f32x16 v = f32x16_load_upto(x + k, n - k) * factor;
      if (weight) v *= f32x16_load_upto(weight + k, n - k);
      f32x16_store_upto(out + k, v, n - k);
    }
  }
}

static void layer_norm(const void *arguments, size_t index, void *scratch) {
  FOR_ROWS(r) {
    size_t parts = p->parts ? p->parts : 1, part = r % parts;
    const float *x = p->x + r / parts * p->xStride + part * n;
    float *out = p->out + r / parts * p->outStride + part * n;
    const float *weight = p->weight ? p->weight + part * p->weightStride : NULL;
    f32x16 sum = f32x16_splat(0), squares = f32x16_splat(0);
    for (size_t k = 0; k < n; k += 16) sum += f32x16_load_upto(x + k, n - k);
    float mean = f32x16_sum(sum) / (float)n;
    for (size_t k = 0; k < n; k += 16) {
      f32x16 v = f32x16_load_upto(x + k, n - k) - mean;
      v = f32x16_select(i32x16_lanes_below(n - k), v, f32x16_splat(0));
      squares = f32x16_fma(v, v, squares);
    }
    float factor = 1.0f / __builtin_sqrtf(f32x16_sum(squares) / (float)n + p->epsilon);
    for (size_t k = 0; k < n; k += 16) {
      f32x16 v = (f32x16_load_upto(x + k, n - k) - mean) * factor;
      if (weight) v *= f32x16_load_upto(weight + k, n - k);
      if (p->bias) v += f32x16_load_upto(p->bias + k, n - k);
      f32x16_store_upto(out + k, v, n - k);
    }
  }
}

static void softmax(const void *arguments, size_t index, void *scratch) {
  FOR_ROWS(r) {
    const float *x = p->x + r * p->xStride;
    float *out = p->out + r * p->outStride;
    f32x16 most = f32x16_splat(-__builtin_inff()), sum = f32x16_splat(0);
    for (size_t k = 0; k < n; k += 16) {
      f32x16 v = f32x16_load_upto(x + k, n - k) * p->factor;
      most = f32x16_max(f32x16_select(i32x16_lanes_below(n - k), v, most), most);
    }
    float largest = f32x16_largest(most);
    for (size_t k = 0; k < n; k += 16) {
      f32x16 e = f32x16_exp(f32x16_load_upto(x + k, n - k) * p->factor - largest);
      e = f32x16_select(i32x16_lanes_below(n - k), e, f32x16_splat(0));
      sum += e;
      f32x16_store_upto(out + k, e, n - k);
    }
    float factor = 1.0f / f32x16_sum(sum);
    for (size_t k = 0; k < n; k += 16) f32x16_store_upto(out + k, f32x16_load_upto(out + k, n - k) * factor, n - k);
  }
}

// One loop for each operation on elements: `value` may use x, and y where it is loaded.
#define FOR_ELEMENTS(LOADS, VALUE)                            \
  do {                                                        \
    FOR_ROWS(r) {                                             \
      const float *px = p->x + r * p->xStride;                \
      float *out = p->out + r * p->outStride;                 \
      for (size_t k = 0; k < n; k += 16) {                    \
        f32x16 x = f32x16_load_upto(px + k, n - k);           \
        LOADS;                                                \
        f32x16_store_upto(out + k, VALUE, n - k);             \
      }                                                       \
    }                                                         \
  } while (0)
#define LOAD_Y f32x16 y = f32x16_load_upto(p->y + r * p->yStride + k, n - k)

#define UNARY_CASES(LOADS, TIMES)                                                          \
  switch (((const quern_rows *)arguments)->unary) {                                        \
    case QUERN_RELU: FOR_ELEMENTS(LOADS, f32x16_max(x, f32x16_splat(0)) TIMES); break;     \
    case QUERN_GELU: FOR_ELEMENTS(LOADS, f32x16_gelu(x) TIMES); break;                     \
    case QUERN_GELU_TANH: FOR_ELEMENTS(LOADS, f32x16_gelu_tanh(x) TIMES); break;           \
    case QUERN_GELU_QUICK: FOR_ELEMENTS(LOADS, f32x16_gelu_quick(x) TIMES); break;         \
    case QUERN_SILU: FOR_ELEMENTS(LOADS, f32x16_silu(x) TIMES); break;                     \
    case QUERN_SIGMOID: FOR_ELEMENTS(LOADS, f32x16_sigmoid(x) TIMES); break;               \
    case QUERN_TANH: FOR_ELEMENTS(LOADS, f32x16_tanh(x) TIMES); break;                     \
  }

static void unary(const void *arguments, size_t index, void *scratch) { UNARY_CASES((void)0, ) }
static void gate(const void *arguments, size_t index, void *scratch) { UNARY_CASES(LOAD_Y, *y) }
static void add(const void *arguments, size_t index, void *scratch) {
  FOR_ELEMENTS(LOAD_Y, f32x16_fma(y, f32x16_splat(p->factor), x));
}
static void multiply_rows(const void *arguments, size_t index, void *scratch) { FOR_ELEMENTS(LOAD_Y, x *y); }
static void scale(const void *arguments, size_t index, void *scratch) { FOR_ELEMENTS((void)0, x *p->factor); }
static void softcap(const void *arguments, size_t index, void *scratch) {
  FOR_ELEMENTS((void)0, f32x16_tanh(x / p->factor) * p->factor);
}
static void add_bias(const void *arguments, size_t index, void *scratch) {
  FOR_ELEMENTS((void)0, x + f32x16_load_upto(p->bias + k, n - k));
}

static void gather(const void *arguments, size_t index, void *scratch) {
  FOR_ROWS(r) memcpy(p->out + r * p->outStride, p->x + (size_t)p->index[r] * p->xStride, n * sizeof(float));
}
static void scatter_add(const void *arguments, size_t index, void *scratch) {
  FOR_ROWS(r) {
    const float *x = p->x + r * p->xStride;
    float *out = p->out + (size_t)p->index[r] * p->outStride;
    f32x16 factor = f32x16_splat(p->factors[r]);
    for (size_t k = 0; k < n; k += 16)
      f32x16_store_upto(out + k, f32x16_fma(f32x16_load_upto(x + k, n - k), factor, f32x16_load_upto(out + k, n - k)), n - k);
  }
}

static void rope(const void *arguments, size_t index, void *scratch) {
  (void)scratch;
  const quern_rope *p = arguments;
  size_t end = (index + 1) * p->rowsPerTask, pairs = p->pairs;
  for (size_t t = index * p->rowsPerTask; t < (end < p->tokens ? end : p->tokens); t++) {
    size_t position = p->positions ? (size_t)p->positions[t] : p->position + t;
    const float *c = p->cosines + position * pairs, *s = p->sines + position * pairs;
    for (size_t h = 0; h < p->heads; h++) {
      float *x = p->x + t * p->xStride + h * p->headDim;
      if (p->interleaved) {
        for (size_t i = 0; i < pairs; i++) {
          float a = x[2 * i], b = x[2 * i + 1];
          x[2 * i] = a * c[i] - b * s[i];
          x[2 * i + 1] = a * s[i] + b * c[i];
        }
      } else {
        for (size_t i = 0; i < pairs; i++) {
          float a = x[i], b = x[i + pairs];
          x[i] = a * c[i] - b * s[i];
          x[i + pairs] = a * s[i] + b * c[i];
        }
      }
    }
  }
}
