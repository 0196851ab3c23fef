// Matrix products: the driver that walks panels and token groups, and the tiles it calls.
#pragma once
#include "half.inc.h"

enum {
  floatChunk = 256,            // columns of a float panel that go together: 16 KiB, half the first-level cache
  blockChunk = 16,             // blocks of 32 columns of an unpacked integer panel that go together
  inputBudget = 400 << 10,     // bytes of input that stay in the second-level cache while panels pass by
  tokensAtMost = 4092,         // whose partial sums fit the scratch area; a multiple of every tile
};

#include "tiles_float.inc.h"
#include "tiles_int8.inc.h"

// The scratch area of a product.
typedef struct product_scratch {
  float sums[tokensAtMost * 16];               // [token][16]: partial sums between chunks of columns
  float weights[floatChunk * 16];              // [column][16]: converted or expanded
  float rows[16 * floatChunk];                 // [row][column]: expanded, before transposition
  uint8_t codes[blockChunk * 512];             // unpacked
} product_scratch;
_Static_assert(sizeof(product_scratch) <= QUERN_SCRATCH_BYTES, "the scratch area is too small");

static void prepare_floats(const void *arguments, size_t index, void *scratch) {
  (void)scratch;
  const quern_input *in = arguments;
  size_t first = index * TILE, count = in->tokens - first < TILE ? in->tokens - first : TILE, columns = in->columns;
  float *out = (float *)in->out + first * columns;
  const float *x = in->x + first * in->xStride;
  if (count == 1) {
    memcpy(out, x, columns * sizeof *out);
    return;
  }
  size_t k = 0;
  for (; k + 8 <= columns; k += 8)
    for (size_t t = 0; t < count; t++)
      for (size_t j = 0; j < 8; j++) out[(k + j) * count + t] = x[t * in->xStride + k + j];
  for (; k < columns; k++)
    for (size_t t = 0; t < count; t++) out[k * count + t] = x[t * in->xStride + k];
}

static void prepare_int8(const void *arguments, size_t index, void *scratch) {
  (void)scratch;
  const quern_input *in = arguments;
  size_t first = index * INT8_TILE, count = in->tokens - first < INT8_TILE ? in->tokens - first : INT8_TILE;
  size_t blocks = in->columns / 32;
  uint8_t *out = (uint8_t *)in->out + first * blocks * inputBlockBytes;
  for (size_t t = 0; t < count; t++) {
    const float *x = in->x + (first + t) * in->xStride;
    for (size_t b = 0; b < blocks; b++) {
      int32_t *codes = (int32_t *)(out + b * count * inputBlockBytes), *offsets = codes + 8 * count;
      int32_t *sums = offsets + count;
      float *scales = (float *)(sums + count), *scaledSums = scales + count;
      f32x16 lo = f32x16_load(x + 32 * b), hi = f32x16_load(x + 32 * b + 16);
      float largest = f32x16_largest(f32x16_max(f32x16_abs(lo), f32x16_abs(hi)));
      float d = largest / 127.0f, inverse = d > 0 ? 1.0f / d : 0.0f;
      // Clamped, so that infinities and NaN give some code and not undefined behaviour; d carries the infinity.
      f32x16 limit = f32x16_splat(127.0f);
      i32x16 a = i32x16_from_f32(f32x16_round(f32x16_max(f32x16_min(lo * inverse, limit), -limit)));
      i32x16 c = i32x16_from_f32(f32x16_round(f32x16_max(f32x16_min(hi * inverse, limit), -limit)));
      i8x16 a8 = __builtin_convertvector(a, i8x16), c8 = __builtin_convertvector(c, i8x16);
      int32_t words[8];
      memcpy(words, &a8, 16);
      memcpy(words + 4, &c8, 16);
      for (size_t g = 0; g < 8; g++) codes[g * count + t] = words[g];
      i32x16 both = a + c;
      int32_t even = 0, odd = 0;
      even = i32x16_sum(both & (i32x16){-1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0});
      odd = i32x16_sum(both) - even;
      offsets[t] = (int32_t)((uint32_t)(-8 * even & 0xffff) | (uint32_t)(-8 * odd) << 16);
      sums[t] = even + odd;
      scales[t] = d;
      scaledSums[t] = d * (float)(even + odd);
    }
  }
}

// Rows of the file's blocks, columns k0 … k0 + count, as floats [column][16].
static void expand(const quern_product *p, size_t panel, size_t k0, size_t count, product_scratch *s) {
  size_t rows = p->rows - panel * 16 < 16 ? p->rows - panel * 16 : 16;
  if (rows < 16) memset(s->rows, 0, sizeof s->rows);
  size_t offset = k0 / p->blockElements * (p->rowBytes / (p->columns / p->blockElements));
  for (size_t r = 0; r < rows; r++)
    p->decode(p->panels + (panel * 16 + r) * p->rowBytes + offset, s->rows + r * count, count);
  for (size_t k = 0; k < count; k += 8)
    for (size_t r = 0; r < 16; r++)
      for (size_t j = 0; j < 8 && k + j < count; j++) s->weights[(k + j) * 16 + r] = s->rows[r * count + k + j];
}

// Sums of one panel over the tokens first ..< first + count (whole groups) into s->sums.
static void multiply_panel_floats(const quern_product *p, size_t panel, size_t first, size_t count,
                                  product_scratch *s) {
  const float *input = p->input;
  const uint8_t *weights = p->panels + panel * quern_panel_bytes(p->weights, p->columns);
  for (size_t k0 = 0; k0 < p->columns; k0 += floatChunk) {
    size_t n = p->columns - k0 < floatChunk ? p->columns - k0 : floatChunk;
    const float *w = s->weights;
    if (p->weights == QUERN_WEIGHTS_F32) w = (const float *)weights + k0 * 16;
    else if (p->weights == QUERN_WEIGHTS_ENCODED) expand(p, panel, k0, n, s);
    else if (p->weights == QUERN_WEIGHTS_F16)
      for (size_t k = 0; k < n; k++)
        f32x16_store(s->weights + k * 16, f32x16_from_half(u16x16_load(weights + (k0 + k) * 32)));
    else
      for (size_t k = 0; k < n; k++)
        f32x16_store(s->weights + k * 16, f32x16_from_brain(u16x16_load(weights + (k0 + k) * 32)));
    for (size_t t = 0; t < count; t += TILE) {
      size_t group = p->tokens - first - t < TILE ? p->tokens - first - t : TILE;
      float_tile(w, input + (first + t) * p->columns + k0 * group, n, s->sums + t * 16, group, k0 == 0);
    }
  }
}

static void store_sums(const quern_product *p, size_t panel, size_t first, size_t count, const float *sums) {
  size_t rows = p->rows - panel * 16 < 16 ? p->rows - panel * 16 : 16;
  float *out = p->out + first * p->outStride + panel * 16;
  const float *bias = p->bias ? p->bias + panel * 16 : NULL;
  for (size_t t = 0; t < count; t++, out += p->outStride, sums += 16)
    if (rows == 16) {
      f32x16 v = f32x16_load(sums);
      if (bias) v += f32x16_load(bias);
      if (p->accumulate) v = f32x16_load(out) + v;
      f32x16_store(out, v);
    } else {
      for (size_t r = 0; r < rows; r++) {
        float v = sums[r];
        if (bias) v += bias[r];
        out[r] = p->accumulate ? out[r] + v : v;
      }
    }
}

static void multiply(const void *arguments, size_t index, void *scratch) {
  const quern_product *p = arguments;
  product_scratch *s = scratch;
  int isInt8 = p->weights >= QUERN_WEIGHTS_Q8_0;
  size_t panels = (p->rows + 15) / 16, from = index * p->panelsPerTask;
  size_t to = from + p->panelsPerTask < panels ? from + p->panelsPerTask : panels;
  if (p->tokens == 1 && p->weights < QUERN_WEIGHTS_ENCODED) {
    size_t panelBytes = quern_panel_bytes(p->weights, p->columns);
    for (size_t panel = from; panel < to; panel += 2) {
      size_t n = to - panel < 2 ? 1 : 2;
      float_vector(p->panels + panel * panelBytes, panelBytes, p->input, p->columns, s->sums, n, p->weights);
      for (size_t i = 0; i < n; i++) store_sums(p, panel + i, 0, 1, s->sums + i * 16);
    }
    return;
  }
  size_t tokenBytes = isInt8 ? p->columns / 32 * inputBlockBytes : p->columns * sizeof(float);
  // Expanding blocks costs more than reading the input again from the third-level cache.
  size_t together = p->weights == QUERN_WEIGHTS_ENCODED ? tokensAtMost : inputBudget / tokenBytes;
  if (together < 48) together = 48;
  if (together > tokensAtMost) together = tokensAtMost;
  size_t tile = isInt8 ? INT8_TILE : TILE;
  together = together / tile * tile;
  for (size_t first = 0; first < p->tokens; first += together) {
    size_t count = p->tokens - first < together ? p->tokens - first : together;
    for (size_t panel = from; panel < to; panel++) {
      if (isInt8) multiply_panel_int8(p, panel, first, count, s->codes, s->sums);
      else multiply_panel_floats(p, panel, first, count, s);
      store_sums(p, panel, first, count, s->sums);
    }
  }
}
