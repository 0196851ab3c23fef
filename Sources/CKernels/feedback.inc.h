// Error feedback on whole rows: see include/ckernels_feedback.h.
#include "feedback_grid.inc.h"
#include "feedback_search.inc.h"
#include "feedback_sweep.inc.h"
#include "feedback_wide.inc.h"

INLINE u8x16 row_of_codes(const u8x16 *codes, int lane) {
  u8x16 out;
  for (int j = 0; j < 16; j++) out[j] = codes[j][lane];
  return out;
}

// Writes block number `block` of every row of the group.
INLINE void feedback_store(feedback_grid g, int type, const feedback_state *s, size_t block, uint8_t *const rows[16]) {
  size_t elements = (size_t)(g.elements * g.subs);
  const u8x16 *codes = s->codes + block * elements;
  if (g.subs == 1) {
    group_store_u16(rows, 0, half_from_f32x16(s->d[block]));
    switch (type) {
      case 2: case 20: nibbles_store(rows, 2, codes); break;
      case 3:
        group_store_u16(rows, 2, half_from_f32x16(s->dmin[block]));
        nibbles_store(rows, 4, codes);
        break;
      case 6:
        fifths_store(rows, 2, codes);
        nibbles_store(rows, 6, codes);
        break;
      case 7:
        group_store_u16(rows, 2, half_from_f32x16(s->dmin[block]));
        fifths_store(rows, 4, codes);
        nibbles_store(rows, 8, codes);
        break;
      case 8:
        for (size_t half = 0; half < 32; half += 16) {
          u8x16 bytes[16];
          for (int j = 0; j < 16; j++) bytes[j] = codes[half + (size_t)j] - 128;
          group_store(rows, 2 + half, bytes);
        }
        break;
      case 42: {
        u8x16 bytes[16];
        for (int j = 0; j < 16; j++) bytes[j] = quarters(codes + 4 * j);
        group_store(rows, 2, bytes);
        break;
      }
    }
    return;
  }
  const f32x16 *scale = s->scale + block * (size_t)g.subs, *minimum = s->minimum + block * (size_t)g.subs;
  for (int lane = 0; lane < 16; lane++) {
    f32x16 scales = f32x16_splat(0), minima = scales, d = f32x16_splat(s->d[block][lane]);
    for (int r = 0; r < g.subs; r++) {
      scales[r] = scale[r][lane];
      if (g.isAffine) minima[r] = minimum[r][lane];
    }
    k_symmetric symmetric = {d, scales, d};
    k_affine affine = {d, g.isAffine ? f32x16_splat(s->dmin[block][lane]) : d, scales, minima, d};
    u8x16 rowsOfCodes[16];  // elements 16r …
    for (int r = 0; r < 16; r++) rowsOfCodes[r] = row_of_codes(codes + 16 * r, lane);
    if (g.elements == 32) {
      u8x16 halves[2][8];
      for (int r = 0; r < 8; r++) halves[0][r] = rowsOfCodes[2 * r], halves[1][r] = rowsOfCodes[2 * r + 1];
      const u8x16 *const both[2] = {halves[0], halves[1]};
      if (type == 12) q4_k_store(rows[lane], both, &affine, 0);
      if (type == 13) q5_k_store(rows[lane], both, &affine, 0);
      if (type == 23) {
        for (int r = 0; r < 8; r++) halves[0][r] |= halves[1][r] << 4;
        iq4_xs_store(rows[lane], halves[0], &symmetric, 0);
      }
    } else {
      if (type == 10) q2_k_store(rows[lane], rowsOfCodes, &affine);
      if (type == 11) q3_k_store(rows[lane], rowsOfCodes, &symmetric);
      if (type == 14) q6_k_store(rows[lane], rowsOfCodes, &symmetric);
    }
  }
}

// Loads sixteen rows (those beyond the matrix are zero) and counts what is not finite.
INLINE size_t feedback_load(const quern_feedback *a, size_t firstRow, feedback_state *s) {
  i32x16 bad = {0};
  static const float zeros[32];
  for (size_t column = 0; column < a->columns; column += 32) {
    const float *rows[16];
    for (size_t r = 0; r < 16; r++)
      rows[r] = firstRow + r < a->rows ? a->targets + (firstRow + r) * a->columns + column : zeros;
    group_load(rows, 32, s->target + column);
    bad += group_clean(32, s->target + column);
  }
  return (size_t)i32x16_sum(bad);
}

// The greedy pass over one block: scales, codes and errors of its columns.
INLINE f32x16 feedback_block(feedback_grid g, const quern_feedback *a, feedback_state *s, size_t block) {
  size_t first = block * (size_t)(g.elements * g.subs);
  f32x16 zero = f32x16_splat(0), base[256];
  for (int c = 0; c < g.elements * g.subs; c++) base[c] = s->target[first + (size_t)c];
  int width = g.elements < 32 ? g.elements : 32;
  for (int c = 0; c < g.elements * g.subs; c += width)
    feedback_extend(factor_panel(a, first + (size_t)c), 0, first, s->delta, width, base + c);
  if (g.elements > 32) return wide_block(g, a, first, base, s, s->d + block).loss;
  if (g.subs == 1) {
    const float *factor = factor_panel(a, first) + 32 * first, *diagonal = a->diagonal + first;
    f32x16 d, m = zero;
    if (g.isAffine) half_affine(g, factor, diagonal, base, s->target + first, &d, &m);
    else half_symmetric(g, factor, diagonal, base, s->target + first, &d);
    s->d[block] = d;
    if (g.isAffine) s->dmin[block] = m;
    return feedback_walk(g, factor, diagonal, base, s->target + first, d, m, s->delta + first, s->codes + first).loss;
  }
  block_try best;
  k_search(g, a, first, base, s->target + first, &best);
  for (int c = 0; c < g.elements * g.subs; c++) {
    s->delta[first + (size_t)c] = best.delta[c];
    s->codes[first + (size_t)c] = best.codes[c];
  }
  for (int r = 0; r < g.subs; r++) {
    s->scale[block * (size_t)g.subs + (size_t)r] = best.scale[r];
    s->minimum[block * (size_t)g.subs + (size_t)r] = best.minimum[r];
  }
  s->d[block] = best.d;
  s->dmin[block] = best.dmin;
  return best.loss;
}

INLINE feedback_state feedback_state_at(char *scratch, feedback_grid g, size_t columns) {
  feedback_state s;
  s.target = (f32x16 *)scratch;
  s.delta = s.target + columns;
  s.scale = s.delta + columns;
  s.minimum = s.scale + columns / (size_t)g.elements;
  s.d = s.minimum + columns / (size_t)g.elements;
  s.dmin = s.d + columns / (size_t)(g.elements * g.subs);
  s.codes = (u8x16 *)(s.dmin + columns / (size_t)(g.elements * g.subs));
  return s;
}

INLINE size_t feedback_rows(const quern_feedback *a, feedback_grid g, int type, size_t bytesPerBlock) {
  size_t perBlock = (size_t)(g.elements * g.subs), blocks = a->columns / perBlock, groups = (a->rows + 15) / 16, bad = 0;
  size_t stride = quern_feedback_scratch(a->columns) / (QUERN_FEEDBACK_ROWS / 16);
  f32x16 error[QUERN_FEEDBACK_ROWS / 16] = {{0}};
  feedback_state states[QUERN_FEEDBACK_ROWS / 16];
  for (size_t i = 0; i < groups; i++) {
    states[i] = feedback_state_at((char *)a->scratch + i * stride, g, a->columns);
    bad += feedback_load(a, 16 * i, &states[i]);
  }
  // Blocks outside, groups of rows inside: the factor's panel stays in the cache for all of them.
  for (size_t block = 0; block < blocks; block++)
    for (size_t i = 0; i < groups; i++) error[i] += feedback_block(g, a, &states[i], block);
  for (size_t sweep = 0; sweep < a->sweeps; sweep++)
    for (size_t group = 0; group < a->columns / (size_t)g.elements; group++)
      for (size_t i = 0; i < groups; i++)
        error[i] -= g.elements > 32
                        ? sweep_wide(g, a, &states[i], group)
                        : sweep_group(g, a, &states[i], group * (size_t)g.elements, group, group / (size_t)g.subs);
  uint8_t sink[256];
  for (size_t i = 0; i < groups; i++) {
    for (size_t block = 0; block < blocks; block++) {
      uint8_t *rows[16];
      for (size_t r = 0; r < 16; r++)
        rows[r] = 16 * i + r < a->rows ? a->blocks + ((16 * i + r) * blocks + block) * bytesPerBlock : sink;
      feedback_store(g, type, &states[i], block, rows);
    }
    for (size_t r = 0; r < 16 && 16 * i + r < a->rows; r++) {
      a->errors[16 * i + r] = error[i][r];
      if (!a->decoded) continue;
      float *out = a->decoded + (16 * i + r) * a->columns;
      for (size_t c = 0; c < a->columns; c++) out[c] = states[i].target[c][r] - states[i].delta[c][r];
    }
  }
  return bad;
}

#include "feedback_group.inc.h"

#define FEEDBACK(NAME, TYPE, BYTES, ...)                                                              \
  static size_t PASTE(feedback_##NAME, ISA)(const quern_feedback *a) {                                \
    return feedback_rows(a, (feedback_grid){__VA_ARGS__}, TYPE, BYTES);                               \
  }
FEEDBACK(q4_0, 2, 18, 32, 1, -8, 7, 0, 0, 0, 0)
FEEDBACK(q4_1, 3, 20, 32, 1, 0, 15, 0, 1, 0, 0)
FEEDBACK(q5_0, 6, 22, 32, 1, -16, 15, 0, 0, 0, 0)
FEEDBACK(q5_1, 7, 24, 32, 1, 0, 31, 0, 1, 0, 0)
FEEDBACK(q8_0, 8, 34, 32, 1, -128, 127, 0, 0, 0, 0)
FEEDBACK(q2_k, 10, 84, 16, 16, 0, 3, 0, 1, 0, 15)
FEEDBACK(q3_k, 11, 110, 16, 16, -4, 3, 0, 0, -32, 31)
FEEDBACK(q4_k, 12, 144, 32, 8, 0, 15, 0, 1, 0, 63)
FEEDBACK(q5_k, 13, 176, 32, 8, 0, 31, 0, 1, 0, 63)
FEEDBACK(q6_k, 14, 210, 16, 16, -32, 31, 0, 0, -128, 127)
FEEDBACK(iq4_nl, 20, 18, 32, 1, -127, 113, 1, 0, 0, 0)
FEEDBACK(iq4_xs, 23, 136, 32, 8, -127, 113, 1, 0, -32, 31)
FEEDBACK(q2_0, 42, 18, 64, 1, -1, 2, 0, 0, 0, 0)

#include "cholesky.inc.h"
#include "attention_backward.inc.h"

static const quern_feedback_table FEEDBACK_TABLE = {
    .rows = {[2] = PASTE(feedback_q4_0, ISA), [3] = PASTE(feedback_q4_1, ISA), [6] = PASTE(feedback_q5_0, ISA),
             [7] = PASTE(feedback_q5_1, ISA), [8] = PASTE(feedback_q8_0, ISA), [10] = PASTE(feedback_q2_k, ISA),
             [11] = PASTE(feedback_q3_k, ISA), [12] = PASTE(feedback_q4_k, ISA), [13] = PASTE(feedback_q5_k, ISA),
             [14] = PASTE(feedback_q6_k, ISA), [20] = PASTE(feedback_iq4_nl, ISA), [23] = PASTE(feedback_iq4_xs, ISA),
             [42] = PASTE(feedback_q2_0, ISA)},
    .groups = group_feedback,
    .corner = cholesky_corner,
    .below = cholesky_below,
    .solve = cholesky_solve,
    .attentionBackward = attention_backward,
};
