// Arranges the rows of two activation matrices so that the product kernels compute Σ_t a[t][i] · b[t][j]: time runs where
// their columns run, and no transposition is needed.
#include <string.h>

#include "include/ckernels.h"

#pragma clang fp contract(off)

void quern_gram_panel(const float *b, size_t stride, size_t tokens, size_t columns, const float *weights, float *panel) {
  for (size_t t = 0; t < tokens; t++, b += stride, panel += 16) {
    if (columns == 16) memcpy(panel, b, 16 * sizeof *panel);
    else
      for (size_t i = 0; i < 16; i++) panel[i] = i < columns ? b[i] : 0;
    if (weights)
      for (size_t i = 0; i < 16; i++) panel[i] *= weights[t];
  }
}

void quern_gram_group(const float *a, size_t stride, size_t tokens, size_t columns, float *group) {
  // Known sizes, so that a copy is a few instructions.
  if (columns == 6)
    for (size_t t = 0; t < tokens; t++) memcpy(group + 6 * t, a + t * stride, 6 * sizeof *group);
  else if (columns == 12)
    for (size_t t = 0; t < tokens; t++) memcpy(group + 12 * t, a + t * stride, 12 * sizeof *group);
  else
    for (size_t t = 0; t < tokens; t++) memcpy(group + columns * t, a + t * stride, columns * sizeof *group);
}
