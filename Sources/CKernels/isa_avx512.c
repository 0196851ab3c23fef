// x86-64 with AVX-512 F, BW, DQ, VL, VNNI and BF16 (Cooper Lake, Zen 4 and later).
#if defined(__x86_64__)
#include <immintrin.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c,bmi,bmi2,popcnt"))), \
    apply_to = function)
#define ISA avx512
#define ISA_AVX512 1
#include "isa.inc.h"
#pragma clang attribute pop

const quern_kernels quern_kernels_avx512 = {"avx512", "AVX-512 F/BW/DQ/VL, VNNI, BF16", &MATH_TABLE, &CODEC_TABLE};
#endif
