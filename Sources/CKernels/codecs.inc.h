#include "include/ckernels_grids.h"

// The codec half of the table: one file per block family, one row per format.
#include "codec_fields.inc.h"
#include "codec_plain.inc.h"
#include "codec_group.inc.h"
#include "codec_scale.inc.h"
#include "codec_unbiased.inc.h"
#include "codec_pairs.inc.h"
#include "codec_symmetric.inc.h"
#include "codec_affine.inc.h"
#include "codec_k.inc.h"
#include "codec_k_search.inc.h"
#include "codec_k_encode.inc.h"
#include "codec_levels.inc.h"
#include "codec_levels_encode.inc.h"
#include "codec_few.inc.h"
#include "codec_few_encode.inc.h"
#include "codec_fp4_encode.inc.h"
#include "codec_grid.inc.h"
#include "codec_lattice.inc.h"
#include "codec_lattice_search.inc.h"
#include "codec_lattice_encode.inc.h"

#define CODEC_ROW(TYPE, NAME, ELEMENTS, BYTES) [TYPE] = {ELEMENTS, BYTES, PASTE(decode_##NAME, ISA), PASTE(encode_##NAME, ISA)}
#define CODEC_READ_ONLY_ROW(TYPE, NAME, ELEMENTS, BYTES) [TYPE] = {ELEMENTS, BYTES, PASTE(decode_##NAME, ISA), 0}

static const quern_codec_table CODEC_TABLE = {{
    CODEC_ROW(0, f32, 1, 4),
    CODEC_ROW(1, f16, 1, 2),
    CODEC_ROW(2, q4_0, 32, 18),
    CODEC_ROW(3, q4_1, 32, 20),
    CODEC_ROW(6, q5_0, 32, 22),
    CODEC_ROW(7, q5_1, 32, 24),
    CODEC_ROW(8, q8_0, 32, 34),
    CODEC_READ_ONLY_ROW(9, q8_1, 32, 36),
    CODEC_ROW(10, q2_k, 256, 84),
    CODEC_ROW(11, q3_k, 256, 110),
    CODEC_ROW(12, q4_k, 256, 144),
    CODEC_ROW(13, q5_k, 256, 176),
    CODEC_ROW(14, q6_k, 256, 210),
    CODEC_READ_ONLY_ROW(15, q8_k, 256, 292),
    CODEC_ROW(16, iq2_xxs, 256, 66),
    CODEC_ROW(17, iq2_xs, 256, 74),
    CODEC_ROW(18, iq3_xxs, 256, 98),
    CODEC_READ_ONLY_ROW(19, iq1_s, 256, 50),
    CODEC_ROW(20, iq4_nl, 32, 18),
    CODEC_ROW(21, iq3_s, 256, 110),
    CODEC_ROW(22, iq2_s, 256, 82),
    CODEC_ROW(23, iq4_xs, 256, 136),
    CODEC_READ_ONLY_ROW(24, i8, 1, 1),
    CODEC_READ_ONLY_ROW(25, i16, 1, 2),
    CODEC_READ_ONLY_ROW(26, i32, 1, 4),
    CODEC_READ_ONLY_ROW(27, i64, 1, 8),
    CODEC_READ_ONLY_ROW(28, f64, 1, 8),
    CODEC_READ_ONLY_ROW(29, iq1_m, 256, 56),
    CODEC_ROW(30, bf16, 1, 2),
    CODEC_ROW(34, tq1_0, 256, 54),
    CODEC_ROW(35, tq2_0, 256, 66),
    CODEC_ROW(39, mxfp4, 32, 17),
    CODEC_ROW(40, nvfp4, 64, 36),
    CODEC_READ_ONLY_ROW(41, q1_0, 128, 18),
    CODEC_ROW(42, q2_0, 64, 18),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_F8_E4M3, f8_e4m3, 1, 1),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_F8_E5M2, f8_e5m2, 1, 1),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U8, u8, 1, 1),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U16, u16, 1, 2),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U32, u32, 1, 4),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U64, u64, 1, 8),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_BOOL, u8, 1, 1),
}};
