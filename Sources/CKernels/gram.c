// Arranges the rows of two activation matrices so that the product kernels compute Σ_t a[t][i] · b[t][j]: time runs where
// their columns run, and no transposition is needed.
#include <string.h>

#include "include/ckernels.h"

void quern_gram_panels(const float *b, size_t stride, size_t tokens, size_t columns, float *panels) {
  for (size_t first = 0; first < columns; first += 16) {
    size_t count = columns - first < 16 ? columns - first : 16;
    float *out = panels + first * tokens;
    for (size_t t = 0; t < tokens; t++, out += 16) {
      memcpy(out, b + t * stride + first, count * sizeof *out);
      for (size_t i = count; i < 16; i++) out[i] = 0;
    }
  }
}

void quern_gram_groups(const float *a, size_t stride, size_t tokens, size_t columns, size_t tile, float *groups) {
  for (size_t first = 0; first < columns; first += tile) {
    size_t count = columns - first < tile ? columns - first : tile;
    float *out = groups + first * tokens;
    for (size_t t = 0; t < tokens; t++, out += count) memcpy(out, a + t * stride + first, count * sizeof *out);
  }
}
