// x86-64 with AVX2, FMA and F16C (Haswell, Zen and later).
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt"))), apply_to = function)
#define ISA avx2
#define ISA_AVX2 1
#include "isa.inc.h"
#pragma clang attribute pop

const quern_kernels quern_kernels_avx2 = {"avx2", "AVX2, FMA, F16C", &MATH_TABLE, &CODEC_TABLE, &FEEDBACK_TABLE};
#endif
