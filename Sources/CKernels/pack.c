// Weights from file order into panels of 16 rows. Runs once per matrix, as fast as memory; the same on every processor.
#include <string.h>

#include "include/ckernels_math.h"
#include "panels.h"

enum { rowsPerPanel = QUERN_PANEL_ROWS, blockColumns = 32 };

// What a block of 32 looks like in the file.
typedef struct block_shape {
  size_t fileBytes, codesAt, codeBytes;
  int hasFifthBits, hasMinimum;  // fifth bits stand right before the codes
} block_shape;

static const block_shape *shape_of(quern_weights weights) {
  static const block_shape shapes[] = {
      {34, 2, 32, 0, 0},  // Q8_0
      {18, 2, 16, 0, 0},  // Q4_0
      {20, 4, 16, 0, 1},  // Q4_1
      {22, 6, 16, 1, 0},  // Q5_0
      {24, 8, 16, 1, 1},  // Q5_1
  };
  return &shapes[weights - QUERN_WEIGHTS_Q8_0];
}

size_t quern_panel_bytes(quern_weights weights, size_t columns) {
  switch (weights) {
    case QUERN_WEIGHTS_F32: return columns * rowsPerPanel * 4;
    case QUERN_WEIGHTS_F16:
    case QUERN_WEIGHTS_BF16: return (columns * rowsPerPanel * 2 + 63) / 64 * 64;
    case QUERN_WEIGHTS_ENCODED: return 0;
    default: break;
  }
  panel_layout l = panel_layout_of(weights);
  size_t blocks = columns / blockColumns;
  return (blocks + 1) / 2 * l.header + blocks * (l.plane + l.codes);
}

// Sixteen columns at a time: what is written stays in the first-level cache, what is read comes line by line.
#define PACK_ELEMENTS(NAME, TYPE)                                                                                  \
  static void NAME(size_t columns, uint8_t *panel, size_t row, size_t count, const uint8_t *rows) {                \
    TYPE *out = (TYPE *)panel, part[16];                                                                           \
    for (size_t k = 0; k < columns; k += 16) {                                                                     \
      size_t n = columns - k < 16 ? columns - k : 16;                                                              \
      for (size_t r = 0; r < count; r++) {                                                                         \
        memcpy(part, rows + (r * columns + k) * sizeof(TYPE), n * sizeof(TYPE));                                   \
        for (size_t j = 0; j < n; j++) out[(k + j) * rowsPerPanel + row + r] = part[j];                            \
      }                                                                                                            \
    }                                                                                                              \
  }
PACK_ELEMENTS(pack_words, uint32_t)
PACK_ELEMENTS(pack_halves, uint16_t)
#undef PACK_ELEMENTS

static void pack_blocks(quern_weights weights, size_t columns, uint8_t *panel, size_t row, size_t count,
                        const uint8_t *rows) {
  const block_shape *s = shape_of(weights);
  panel_layout l = panel_layout_of(weights);
  size_t blocks = columns / blockColumns;
  for (size_t b = 0; b < blocks; b++) {
    uint8_t *scales = panel + panel_scales_at(l, b), *plane = panel + panel_plane_at(l, b), *codes = plane + l.plane;
    for (size_t r = 0; r < count; r++) {
      const uint8_t *from = rows + (r * blocks + b) * s->fileBytes;
      memcpy(scales + (row + r) * 2, from, 2);
      if (s->hasMinimum) memcpy(scales + 64 + (row + r) * 2, from + 2, 2);
      for (size_t g = 0; g < s->codeBytes / 4; g++)
        memcpy(codes + (g * rowsPerPanel + row + r) * 4, from + s->codesAt + 4 * g, 4);
      if (!s->hasFifthBits) continue;
      uint32_t bits;
      memcpy(&bits, from + s->codesAt - 4, 4);
      for (size_t j = 0; j < 4; j++) {
        // Bits j, j + 4, … j + 28 beside each other: three halvings of the gaps.
        uint32_t byte = bits >> j & 0x11111111;
        byte = (byte | byte >> 3) & 0x03030303;
        byte = (byte | byte >> 6) & 0x000f000f;
        plane[(row + r) * 4 + j] = (uint8_t)(byte | byte >> 12);
      }
    }
  }
}

void quern_pack(quern_weights weights, size_t columns, uint8_t *panels, size_t firstRow, size_t rowCount,
                const uint8_t *rows) {
  size_t panelBytes = quern_panel_bytes(weights, columns);
  size_t elementBytes = weights == QUERN_WEIGHTS_F32 ? 4 : 2;
  size_t rowBytes = weights < QUERN_WEIGHTS_ENCODED ? columns * elementBytes
                                                    : columns / blockColumns * shape_of(weights)->fileBytes;
  for (size_t done = 0; done < rowCount;) {
    size_t row = (firstRow + done) % rowsPerPanel, panel = (firstRow + done) / rowsPerPanel;
    size_t count = rowsPerPanel - row < rowCount - done ? rowsPerPanel - row : rowCount - done;
    uint8_t *to = panels + panel * panelBytes;
    const uint8_t *from = rows + done * rowBytes;
    if (weights == QUERN_WEIGHTS_F32) pack_words(columns, to, row, count, from);
    else if (weights < QUERN_WEIGHTS_ENCODED) pack_halves(columns, to, row, count, from);
    else pack_blocks(weights, columns, to, row, count, from);
    done += count;
  }
}

#pragma clang fp contract(off)

static float float_from_half(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7fff) << 13, bits;
  float scaled;
  memcpy(&scaled, &rest, 4);
  scaled *= 0x1p112f;
  memcpy(&bits, &scaled, 4);
  if ((h & 0x7c00) == 0x7c00) bits = rest | 0x7f800000 | ((h & 0x3ff) ? 0x00400000 : 0);
  bits |= sign;
  memcpy(&scaled, &bits, 4);
  return scaled;
}

static void unpack_float_row(quern_weights weights, size_t columns, const uint8_t *panel, size_t row, float *out) {
  for (size_t k = 0; k < columns; k++) {
    size_t at = k * rowsPerPanel + row;
    uint16_t h;
    if (weights == QUERN_WEIGHTS_F32) {
      memcpy(out + k, panel + at * 4, 4);
      continue;
    }
    memcpy(&h, panel + at * 2, 2);
    uint32_t brain = (uint32_t)h << 16;
    if (weights == QUERN_WEIGHTS_F16) out[k] = float_from_half(h);
    else memcpy(out + k, &brain, 4);
  }
}

void quern_unpack_row(quern_weights weights, size_t columns, const uint8_t *panels, size_t row, float *out) {
  const uint8_t *panel = panels + row / rowsPerPanel * quern_panel_bytes(weights, columns);
  row %= rowsPerPanel;
  if (weights < QUERN_WEIGHTS_ENCODED) {
    unpack_float_row(weights, columns, panel, row, out);
    return;
  }
  const block_shape *s = shape_of(weights);
  panel_layout l = panel_layout_of(weights);
  int offset = weights == QUERN_WEIGHTS_Q4_0 ? 8 : weights == QUERN_WEIGHTS_Q5_0 ? 16 : 0;
  for (size_t b = 0; b < columns / blockColumns; b++) {
    const uint8_t *scales = panel + panel_scales_at(l, b), *plane = panel + panel_plane_at(l, b);
    const uint8_t *codes = plane + l.plane;
    uint16_t half, minimum = 0;
    memcpy(&half, scales + row * 2, 2);
    if (s->hasMinimum) memcpy(&minimum, scales + 64 + row * 2, 2);
    float d = float_from_half(half), m = float_from_half(minimum);
    for (size_t j = 0; j < blockColumns; j++) {
      size_t byte = s->codeBytes == 32 ? j : j % 16;
      int code = codes[(byte / 4 * rowsPerPanel + row) * 4 + byte % 4];
      if (s->codeBytes == 32) code = (int8_t)code;
      else code = (code >> (j < 16 ? 0 : 4) & 15) - offset;
      if (s->hasFifthBits) code += (plane[row * 4 + j % 4] >> (j / 4) & 1) * 16;
      float x = d * (float)code;
      out[b * blockColumns + j] = s->hasMinimum ? x + m : x;
    }
  }
}
