// arm64 with the dot-product instructions (ARMv8.2 and later: Cortex-A76, Apple M1, Graviton 2).
#if defined(__aarch64__)
#include <arm_neon.h>
#pragma clang attribute push(__attribute__((target("dotprod,fullfp16"))), apply_to = function)
#define ISA neon
#define ISA_NEON 1
#include "isa.inc.h"
#pragma clang attribute pop

const quern_kernels quern_kernels_neon = {"neon", "NEON with dot product", &MATH_TABLE, &CODEC_TABLE, &FEEDBACK_TABLE};
#endif
