// The integer tile: exact sums over each block of 32 columns, scaled into one chain of floats.
//
// Only `block_sums`, which is exact, differs between instruction sets; what rounds is written once, here.
#pragma once
#include "half.inc.h"
#include "panels.h"

enum { inputBlockBytes = QUERN_INPUT_BLOCK_BYTES };  // per token and block: 32 codes, offsets, sum, scale, scaled sum

// One block of an input group: columns of a table with one row per token.
typedef struct input_block {
  const int32_t *words;       // [8][tokens]: four signed codes each
  const int32_t *offsets;     // [tokens]: two i16, −8 times the sum over columns ≡ 0, 1 and ≡ 2, 3 modulo 4
  const int32_t *sums;        // [tokens]
  const float *scales;        // [tokens]
  const float *scaledSums;    // [tokens]
} input_block;

INLINE input_block input_block_at(const uint8_t *p, size_t tokens) {
  const int32_t *w = (const int32_t *)p;
  return (input_block){w, w + 8 * tokens, w + 9 * tokens, (const float *)(w + 10 * tokens), (const float *)(w + 11 * tokens)};
}

// How the codes of a storage are read: signed bytes, or unsigned ones (0…15 or 0…31) less an offset.
typedef enum code_kind { CODES_SIGNED, CODES_LESS_8, CODES_LESS_16, CODES_UP_TO_15, CODES_UP_TO_31 } code_kind;

// Group g of a block: columns 4g … 4g + 3 of 16 rows. Bytes as they are, or from nibbles (and the plane of fifth bits)
// where `packed`.
INLINE u8x64 load_codes(const uint8_t *codes, const uint8_t *plane, size_t g, code_kind kind, int packed) {
  u8x64 v, high;
  int nibbles = packed && kind != CODES_SIGNED;
  memcpy(&v, codes + (nibbles ? g % 4 : g) * 64, 64);
  if (!nibbles) return v;
  v = g < 4 ? v & 15 : v >> 4;
  if (kind == CODES_LESS_16 || kind == CODES_UP_TO_31) {
    memcpy(&high, plane, 64);
    v |= (high >> g & 1) << 4;
  }
  return v;
}

// One block of nibbles as bytes [8][16][4].
INLINE void unpack_block(const uint8_t *codes, const uint8_t *plane, code_kind kind, uint8_t *out) {
#pragma clang loop unroll(full)
  for (size_t g = 0; g < 8; g++) {
    u8x64 v = load_codes(codes, plane, g, kind, 1);
    memcpy(out + g * 64, &v, 64);
  }
}

// block_sums(codes, plane, in, tokens, kind, packed, sums): sums[token][row] of one block, exactly. `codes` is the
// panel's block of nibbles (with its plane of fifth bits) where `packed`, bytes [8][16][4] where not.
// INT8_TILE: tokens of a tile; INT8_RESIDENT: up to how many the float sums stay in registers beside the exact ones;
// INT8_PREFETCH: how many blocks ahead the product of one token asks for weights, 0 where that has no use.
#if defined(ISA_AVX512)
#include "block_avx512.inc.h"
#elif defined(ISA_AVX2)
#include "block_avx2.inc.h"
#elif defined(ISA_NEON)
#include "block_neon.inc.h"
#else
#include "block_generic.inc.h"
#endif

// `panel`: where the scales are, and the codes too where `packed`; `codes`: else the codes of the n blocks as bytes.
INLINE void int8_tile_of(const uint8_t *panel, size_t b0, const uint8_t *codes, const uint8_t *input, size_t n,
                         float *sums, size_t tokens, panel_layout layout, code_kind kind, int packed) {
  f32x16 resident[INT8_TILE];
  int isResident = tokens <= INT8_RESIDENT;
  if (b0 == 0) memset(sums, 0, tokens * 64);
  if (isResident)
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++) resident[t] = f32x16_load(sums + t * 16);
  for (size_t b = b0; b < b0 + n; b++, input += tokens * inputBlockBytes) {
    input_block in = input_block_at(input, tokens);
    const uint8_t *scales = panel + panel_scales_at(layout, b), *plane = panel + panel_plane_at(layout, b);
    if (INT8_PREFETCH && packed && tokens == 1)
      for (size_t i = 0; i < layout.plane + layout.codes + layout.header / 2; i += 64)
        __builtin_prefetch(plane + INT8_PREFETCH * (layout.plane + layout.codes) + i);
    i32x16 exact[INT8_TILE];
    block_sums(packed ? plane + layout.plane : codes + (b - b0) * 512, plane, &in, tokens, kind, packed, exact);
    f32x16 dw = f32x16_from_half(u16x16_load(scales)), m = dw;
    int hasMinimum = kind == CODES_UP_TO_15 || kind == CODES_UP_TO_31;
    if (hasMinimum) m = f32x16_from_half(u16x16_load(scales + 64));
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++) {
      f32x16 f = isResident ? resident[t] : f32x16_load(sums + t * 16);
      f = f32x16_fma(f32x16_from_i32(exact[t]), dw * in.scales[t], f);
      if (hasMinimum) f = f32x16_fma(m, f32x16_splat(in.scaledSums[t]), f);
      if (isResident) resident[t] = f;
      else f32x16_store(sums + t * 16, f);
    }
  }
  if (isResident)
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++) f32x16_store(sums + t * 16, resident[t]);
}

INLINE void int8_tile(const uint8_t *panel, size_t b0, const uint8_t *codes, const uint8_t *input, size_t n,
                      float *sums, size_t tokens, panel_layout layout, code_kind kind, int packed) {
  switch (tokens) {
#define TILE_CASE(T) case T: int8_tile_of(panel, b0, codes, input, n, sums, T, layout, kind, packed); break;
    TILE_CASE(1) TILE_CASE(2) TILE_CASE(3) TILE_CASE(4)
#if INT8_TILE > 4
    TILE_CASE(5) TILE_CASE(6) TILE_CASE(7) TILE_CASE(8) TILE_CASE(9) TILE_CASE(10) TILE_CASE(11) TILE_CASE(12)
#endif
#undef TILE_CASE
    default: break;
  }
}

// All groups of the tokens first ..< first + count of a product, one panel, into sums [token][16].
INLINE void int8_panel_product(const quern_product *p, size_t index, size_t first, size_t count, quern_weights weights,
                               code_kind kind, uint8_t *scratch, float *sums) {
  size_t blocks = p->columns / 32;
  panel_layout layout = panel_layout_of(weights);
  const uint8_t *panel = p->panels + index * quern_panel_bytes(weights, p->columns);
  // A few tokens: each weight is read once, straight from memory. Many: codes are unpacked once for all.
  if (p->tokens <= INT8_TILE) {
    int8_tile(panel, 0, NULL, p->input, blocks, sums, p->tokens, layout, kind, 1);
    return;
  }
  for (size_t b0 = 0; b0 < blocks; b0 += blockChunk) {
    size_t n = blocks - b0 < blockChunk ? blocks - b0 : blockChunk;
    if (kind != CODES_SIGNED)
      for (size_t b = 0; b < n; b++) {
        const uint8_t *plane = panel + panel_plane_at(layout, b0 + b);
        unpack_block(plane + layout.plane, plane, kind, scratch + b * 512);
      }
    for (size_t t = 0; t < count; t += INT8_TILE) {
      size_t group = p->tokens - first - t < INT8_TILE ? p->tokens - first - t : INT8_TILE;
      const uint8_t *input = (const uint8_t *)p->input + ((first + t) * blocks + b0 * group) * inputBlockBytes;
      int8_tile(panel, b0, scratch, input, n, sums + t * 16, group, layout, kind, kind == CODES_SIGNED);
    }
  }
}

static void int8_product_signed(const quern_product *p, size_t panel, size_t t, size_t n, uint8_t *s, float *sums) {
  int8_panel_product(p, panel, t, n, QUERN_WEIGHTS_Q8_0, CODES_SIGNED, s, sums);
}
static void int8_product_less_8(const quern_product *p, size_t panel, size_t t, size_t n, uint8_t *s, float *sums) {
  int8_panel_product(p, panel, t, n, QUERN_WEIGHTS_Q4_0, CODES_LESS_8, s, sums);
}
static void int8_product_less_16(const quern_product *p, size_t panel, size_t t, size_t n, uint8_t *s, float *sums) {
  int8_panel_product(p, panel, t, n, QUERN_WEIGHTS_Q5_0, CODES_LESS_16, s, sums);
}
static void int8_product_up_to_15(const quern_product *p, size_t panel, size_t t, size_t n, uint8_t *s, float *sums) {
  int8_panel_product(p, panel, t, n, QUERN_WEIGHTS_Q4_1, CODES_UP_TO_15, s, sums);
}
static void int8_product_up_to_31(const quern_product *p, size_t panel, size_t t, size_t n, uint8_t *s, float *sums) {
  int8_panel_product(p, panel, t, n, QUERN_WEIGHTS_Q5_1, CODES_UP_TO_31, s, sums);
}

static void multiply_panel_int8(const quern_product *p, size_t panel, size_t t, size_t n, uint8_t *s, float *sums) {
  switch (p->weights) {
    case QUERN_WEIGHTS_Q8_0: int8_product_signed(p, panel, t, n, s, sums); break;
    case QUERN_WEIGHTS_Q4_0: int8_product_less_8(p, panel, t, n, s, sums); break;
    case QUERN_WEIGHTS_Q5_0: int8_product_less_16(p, panel, t, n, s, sums); break;
    case QUERN_WEIGHTS_Q4_1: int8_product_up_to_15(p, panel, t, n, s, sums); break;
    default: int8_product_up_to_31(p, panel, t, n, s, sums); break;
  }
}
