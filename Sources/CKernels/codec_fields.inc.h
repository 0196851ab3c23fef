// Reading the fields of blocks, which have no alignment.
#include "half.inc.h"

INLINE uint16_t load_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return v; }
INLINE uint32_t load_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return v; }

INLINE float f32_from_f16(uint16_t h) {
#if defined(ISA_AVX2) || defined(ISA_AVX512)
  return _cvtsh_ss(h);
#else
  uint32_t magnitude = h & 0x7fff, bits = magnitude << 13;
  if (magnitude >= 0x7c00) {
    bits = (bits + 0x70000000) | (magnitude > 0x7c00 ? 0x400000 : 0);
  } else if (magnitude >= 0x400) {
    bits += 0x38000000;
  } else {
    float tiny = (float)magnitude * 0x1p-24f;
    memcpy(&bits, &tiny, 4);
  }
  bits |= (uint32_t)(h & 0x8000) << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
#endif
}
INLINE float load_f16(const uint8_t *p) { return f32_from_f16(load_u16(p)); }
