// Which tables exist, and which this processor can run.
#include "include/ckernels.h"

extern const quern_kernels quern_kernels_generic;
#if defined(__x86_64__)
extern const quern_kernels quern_kernels_avx2, quern_kernels_avx512;
static const quern_kernels *const tables[] = {&quern_kernels_avx512, &quern_kernels_avx2, &quern_kernels_generic};
#elif defined(__aarch64__)
#include <sys/auxv.h>
extern const quern_kernels quern_kernels_neon;
static const quern_kernels *const tables[] = {&quern_kernels_neon, &quern_kernels_generic};
#else
static const quern_kernels *const tables[] = {&quern_kernels_generic};
#endif

size_t quern_kernels_all(const quern_kernels *const **out) {
  *out = tables;
  return sizeof tables / sizeof *tables;
}

int quern_kernels_supported(const quern_kernels *table) {
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks the operating system (XCR0) whether the wide registers are saved.
  __builtin_cpu_init();
  int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (table == &quern_kernels_avx2) return avx2;
  if (table == &quern_kernels_avx512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
  enum { hwcapAsimdDotProduct = 1 << 20, hwcapHalfPrecision = 1 << 10 };
  if (table == &quern_kernels_neon) {
    unsigned long have = getauxval(AT_HWCAP);
    return (have & hwcapAsimdDotProduct) && (have & hwcapHalfPrecision);
  }
#endif
  return table == &quern_kernels_generic;
}
