// Block encoders and decoders: the codec half of a kernel table.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct quern_codec_table {
  int reserved;
} quern_codec_table;
