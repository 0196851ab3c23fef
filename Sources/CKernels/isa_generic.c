// The twin that defines the answer: the shared bodies compiled for the baseline processor.
#define ISA generic
#include "isa.inc.h"

const quern_kernels quern_kernels_generic = {"generic", "any processor", &MATH_TABLE, &CODEC_TABLE, &FEEDBACK_TABLE};
