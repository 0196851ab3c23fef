// The integer tile: exact sums over each block of 32 columns, scaled into one chain of floats.
#pragma once
#include "half.inc.h"

enum { inputBlockBytes = 44 };  // per token and block: 32 codes, two sums, scale, scaled sum

// The parts of one panel.
typedef struct int8_panel {
  const uint8_t *codes;
  const uint32_t *fifthBits;  // [block][16] or null
  const uint16_t *scales;     // [block][16]
  const uint16_t *minima;     // [block][16] or null
} int8_panel;

INLINE int8_panel int8_panel_view(quern_weights weights, const uint8_t *panels, size_t columns, size_t panel) {
  const uint8_t *at = panels + panel * quern_panel_bytes(weights, columns);
  size_t blocks = columns / 32;
  int8_panel view = {.codes = at};
  at += blocks * (weights == QUERN_WEIGHTS_Q8_0 ? 512 : 256);
  if (weights == QUERN_WEIGHTS_Q5_0 || weights == QUERN_WEIGHTS_Q5_1) {
    view.fifthBits = (const uint32_t *)at;
    at += blocks * 64;
  }
  view.scales = (const uint16_t *)at;
  if (weights == QUERN_WEIGHTS_Q4_1 || weights == QUERN_WEIGHTS_Q5_1) view.minima = view.scales + blocks * 16;
  return view;
}

// Signed codes [block][8][16][4] of n blocks from block b0 on.
static void int8_unpack(quern_weights weights, const int8_panel *p, size_t b0, size_t n, int8_t *out) {
  if (weights == QUERN_WEIGHTS_Q8_0) {
    memcpy(out, p->codes + b0 * 512, n * 512);
    return;
  }
  int offset = weights == QUERN_WEIGHTS_Q4_0 ? 8 : weights == QUERN_WEIGHTS_Q5_0 ? 16 : 0;
  for (size_t b = b0; b < b0 + n; b++, out += 512)
    for (size_t g = 0; g < 8; g++)
      for (size_t i = 0; i < 64; i++) {
        int v = p->codes[b * 256 + (g & 3) * 64 + i] >> (g < 4 ? 0 : 4) & 15;
        if (p->fifthBits) v |= (p->fifthBits[b * 16 + i / 4] >> (g * 4 + i % 4) & 1) << 4;
        out[g * 64 + i] = (int8_t)(v - offset);
      }
}

static void int8_tile(const int8_panel *p, size_t b0, const int8_t *codes, const uint8_t *input, size_t n, float *sums,
                      size_t tokens, int first) {
  if (first) memset(sums, 0, tokens * 64);
  for (size_t b = 0; b < n; b++, codes += 512, input += tokens * inputBlockBytes) {
    const int32_t *words = (const int32_t *)input;
    const float *scales = (const float *)(words + 9 * tokens), *scaledSums = scales + tokens;
    f32x16 dw = f32x16_from_half(u16x16_load(p->scales + (b0 + b) * 16));
    for (size_t t = 0; t < tokens; t++) {
      i32x16 i = i32x16_splat(0);
      for (size_t g = 0; g < 8; g++) {
        i32x16 w = i32x16_load((const int32_t *)(codes + g * 64));
        uint32_t a = (uint32_t)words[g * tokens + t];
        i += ((i32x16)((u32x16)w << 24) >> 24) * (int32_t)(int8_t)a;
        i += ((i32x16)((u32x16)w << 16) >> 24) * (int32_t)(int8_t)(a >> 8);
        i += ((i32x16)((u32x16)w << 8) >> 24) * (int32_t)(int8_t)(a >> 16);
        i += (w >> 24) * (int32_t)(int8_t)(a >> 24);
      }
      f32x16 f = f32x16_load(sums + t * 16);
      f = f32x16_fma(f32x16_from_i32(i), dw * scales[t], f);
      if (p->minima)
        f = f32x16_fma(f32x16_from_half(u16x16_load(p->minima + (b0 + b) * 16)), f32x16_splat(scaledSums[t]), f);
      f32x16_store(sums + t * 16, f);
    }
  }
}
