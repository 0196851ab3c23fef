// Where things are in a panel of 16 rows of blocks of 32 columns.
//
// Blocks go in pairs, so that everything starts on a cache line and a product reads one ascending stream:
//
//   scales   f16 [2][16]
//   minima   f16 [2][16]          only where the encoding has minima
//   twice:
//     plane  u8  [16][4]          only where the encoding has fifth bits: bit g is that of column 4g + j
//     codes  u8  [8][16][4]       Q8_0: signed; columns 4g … 4g + 3 of a row beside each other
//        or  u8  [4][16][4]       the others: low nibble column 4g + j, high nibble column 16 + 4g + j
//
// The last block of an odd number has its scales (and minima) to itself.
#pragma once
#include "include/ckernels_math.h"

typedef struct panel_layout {
  size_t header, plane, codes;  // bytes: of a pair's scales and minima, of a block's fifth bits, of a block's codes
} panel_layout;

static inline __attribute__((always_inline)) panel_layout panel_layout_of(quern_weights weights) {
  panel_layout l = {64, 0, 256};
  if (weights == QUERN_WEIGHTS_Q8_0) l.codes = 512;
  if (weights == QUERN_WEIGHTS_Q4_1 || weights == QUERN_WEIGHTS_Q5_1) l.header = 128;
  if (weights == QUERN_WEIGHTS_Q5_0 || weights == QUERN_WEIGHTS_Q5_1) l.plane = 64;
  return l;
}

// Byte offsets from the start of the panel, of block b. Minima are 64 bytes after the scales, codes after the plane.
static inline __attribute__((always_inline)) size_t panel_scales_at(panel_layout l, size_t b) {
  return b / 2 * (l.header + 2 * (l.plane + l.codes)) + b % 2 * 32;
}
static inline __attribute__((always_inline)) size_t panel_plane_at(panel_layout l, size_t b) {
  return b / 2 * (l.header + 2 * (l.plane + l.codes)) + l.header + b % 2 * (l.plane + l.codes);
}
