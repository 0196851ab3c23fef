// The lattice points of the IQ1, IQ2 and IQ3 formats, one code per point: element i of a point is the level
// (code >> i · width) & mask, of value levels[level]. Made by Fixtures/generators/make_codec_grids.py.
#pragma once
#include <stdint.h>

// Eight elements of two bits: levels 8, 25, 43.
extern const uint16_t quern_grid_iq2_xxs[256], quern_grid_iq2_xs[512], quern_grid_iq2_s[1024];
// Four elements of three bits: levels 4, 12, 20, 28, 36, 44, 52, 62 and 1, 3, 5, 7, 9, 11, 13, 15.
extern const uint16_t quern_grid_iq3_xxs[256], quern_grid_iq3_s[512];
// Eight elements of two bits: levels −1, 0, 1.
extern const uint16_t quern_grid_iq1[2048];

// For encoders: the points whose upper halves (of the elements) are the same lie together. Longest run first.
typedef struct quern_grid_run {
  uint16_t first;        // point
  uint8_t count, upper;  // points; the upper half of their codes
} quern_grid_run;
extern const quern_grid_run quern_grid_runs_iq2_xxs[72], quern_grid_runs_iq2_xs[79], quern_grid_runs_iq2_s[81];
extern const quern_grid_run quern_grid_runs_iq3_xxs[61], quern_grid_runs_iq3_s[64];

typedef enum quern_grid {
  QUERN_GRID_IQ2_XXS, QUERN_GRID_IQ2_XS, QUERN_GRID_IQ2_S, QUERN_GRID_IQ3_XXS, QUERN_GRID_IQ3_S, QUERN_GRID_IQ1,
} quern_grid;

// The code of a point, for readers that do not hold pointers; index less than the grid's size.
static inline uint16_t quern_grid_code(quern_grid grid, uint32_t index) {
  switch (grid) {
    case QUERN_GRID_IQ2_XXS: return quern_grid_iq2_xxs[index];
    case QUERN_GRID_IQ2_XS: return quern_grid_iq2_xs[index];
    case QUERN_GRID_IQ2_S: return quern_grid_iq2_s[index];
    case QUERN_GRID_IQ3_XXS: return quern_grid_iq3_xxs[index];
    case QUERN_GRID_IQ3_S: return quern_grid_iq3_s[index];
    case QUERN_GRID_IQ1: return quern_grid_iq1[index];
  }
  return 0;
}
