// The codec half of the table: one file per block family.
static const quern_codec_table CODEC_TABLE = {0};
