// Block encoders and decoders: the codec half of a kernel table.
//
// Every table gives the same bytes and the same floats, except that the payload of a NaN made by arithmetic on a NaN or
// an infinity in a damaged block is not defined.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Rows are addressed by ggml's type number; types that ggml does not have follow from 64.
enum {
  QUERN_TYPE_F8_E4M3 = 64,
  QUERN_TYPE_F8_E5M2 = 65,
  QUERN_TYPE_U8 = 66,
  QUERN_TYPE_U16 = 67,
  QUERN_TYPE_U32 = 68,
  QUERN_TYPE_U64 = 69,
  QUERN_TYPE_BOOL = 70,
  QUERN_CODEC_ROWS = 72,
};

// element_count is a multiple of the row's elements_per_block. blocks need no alignment; nothing may overlap.
typedef void quern_decode_function(const uint8_t *blocks, float *out, size_t element_count);

// Stores the codes and scales that give the least squared error found by the format's search, which is never more than
// that of ggml's own choice without calibration data (but for the rounding of the sums, about 1e-6 of it). The
// IQ2 and IQ3 formats count large elements more (lattice_steer), and for them that holds of tensors, not of every block.
//
// importance is NULL or holds `period` weights >= 0 (a matrix row's; a multiple of elements_per_block): element i's
// squared error counts importance[i % period] times. Elements that are not finite are encoded as zero; their number is
// returned. *squared_error receives the sum of the plain squared errors of the finite elements.
//
// is_unbiased: not the least squares but Σ w x x̂ = Σ w x² in every block, where the format's scales can say so and, of those
// that are never worse than ggml's, where that stays true (codec_unbiased.inc.h).
typedef size_t quern_encode_function(const float *in, size_t element_count, const float *importance, size_t period,
                                     int is_unbiased, uint8_t *blocks, double *squared_error);

typedef struct quern_codec {
  uint16_t elements_per_block;
  uint16_t bytes_per_block;
  quern_decode_function *decode;  // NULL: no such type
  quern_encode_function *encode;  // NULL: read only
} quern_codec;

typedef struct quern_codec_table {
  quern_codec rows[QUERN_CODEC_ROWS];
} quern_codec_table;

// The row of a type, or NULL if there is none.
static inline const quern_codec *quern_codec_find(const quern_codec_table *table, uint32_t type) {
  return type < QUERN_CODEC_ROWS && table->rows[type].decode ? &table->rows[type] : 0;
}
