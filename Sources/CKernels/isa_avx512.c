// x86-64 with AVX-512 F, BW, DQ, VL and VNNI (Cascade Lake, Ice Lake, Zen 4 and later). Its BF16 dot product rounds
// and flushes in ways no other instruction set has, so BF16 weights are widened instead.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c,bmi,bmi2,popcnt"))), \
    apply_to = function)
#define ISA avx512
#define ISA_AVX512 1
#include "isa.inc.h"
#pragma clang attribute pop

const quern_kernels quern_kernels_avx512 = {"avx512", "AVX-512 F/BW/DQ/VL, VNNI", &MATH_TABLE, &CODEC_TABLE, &FEEDBACK_TABLE};
#endif
