// The codec half of the table: one file per block family, one row per format.
#include "codec_half.inc.h"
#include "codec_plain.inc.h"
#include "codec_group.inc.h"
#include "codec_scale.inc.h"
#include "codec_symmetric.inc.h"
#include "codec_affine.inc.h"

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
    CODEC_READ_ONLY_ROW(24, i8, 1, 1),
    CODEC_READ_ONLY_ROW(25, i16, 1, 2),
    CODEC_READ_ONLY_ROW(26, i32, 1, 4),
    CODEC_READ_ONLY_ROW(27, i64, 1, 8),
    CODEC_READ_ONLY_ROW(28, f64, 1, 8),
    CODEC_ROW(30, bf16, 1, 2),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_F8_E4M3, f8_e4m3, 1, 1),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_F8_E5M2, f8_e5m2, 1, 1),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U8, u8, 1, 1),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U16, u16, 1, 2),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U32, u32, 1, 4),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_U64, u64, 1, 8),
    CODEC_READ_ONLY_ROW(QUERN_TYPE_BOOL, u8, 1, 1),
}};
