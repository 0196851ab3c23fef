// Exact block sums with AVX2: vpmaddubsw multiplies unsigned by signed bytes and adds pairs into 16 bits.
#define INT8_TILE 4
#define INT8_RESIDENT 2
#define INT8_PREFETCH 8

// Left to itself the compiler loads all of a block before it multiplies, reorders the additions and spills the sums.
#define KEEP_ORDER __asm__ volatile("" ::: "memory")
#define KEEP(v) __asm__("" : "+x"(v))

INLINE i32x16 i32x16_of(__m256i lo, __m256i hi) {
  union { __m256i part[2]; i32x16 all; } u = {{lo, hi}};
  return u.all;
}

// Signed by signed: |w| times the input with w's sign. A pair sum is at most 2 · 128 · 127 and fits, two do not.
INLINE void block_sums_signed(const uint8_t *codes, const input_block *in, size_t tokens, i32x16 *sums) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i acc[INT8_TILE][2];
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) acc[t][0] = acc[t][1] = _mm256_setzero_si256();
#pragma clang loop unroll(full)
  for (size_t g = 0; g < 8; g++) {
    KEEP_ORDER;
    __m256i w0 = _mm256_loadu_si256((const __m256i *)(codes + g * 64));
    __m256i w1 = _mm256_loadu_si256((const __m256i *)(codes + g * 64 + 32));
    __m256i u0 = _mm256_abs_epi8(w0), u1 = _mm256_abs_epi8(w1);
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++) {
      __m256i a = _mm256_set1_epi32(in->words[g * tokens + t]);
      __m256i p0 = _mm256_maddubs_epi16(u0, _mm256_sign_epi8(a, w0));
      __m256i p1 = _mm256_maddubs_epi16(u1, _mm256_sign_epi8(a, w1));
      acc[t][0] = _mm256_add_epi32(acc[t][0], _mm256_madd_epi16(p0, ones));
      acc[t][1] = _mm256_add_epi32(acc[t][1], _mm256_madd_epi16(p1, ones));
      KEEP(acc[t][0]);
      KEEP(acc[t][1]);
    }
  }
  KEEP_ORDER;
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) sums[t] = i32x16_of(acc[t][0], acc[t][1]);
}

// Four columns of eight rows: group g of the rows half · 8 … half · 8 + 7.
INLINE __m256i load_half_codes(const uint8_t *codes, const uint8_t *plane, size_t g, size_t half, code_kind kind,
                          int packed) {
  if (!packed) return _mm256_loadu_si256((const __m256i *)(codes + g * 64 + half * 32));
  __m256i v = _mm256_loadu_si256((const __m256i *)(codes + (g & 3) * 64 + half * 32));
  if (g >= 4) v = _mm256_srli_epi16(v, 4);
  v = _mm256_and_si256(v, _mm256_set1_epi8(15));
  if (kind == CODES_LESS_16 || kind == CODES_UP_TO_31) {
    __m256i h = _mm256_loadu_si256((const __m256i *)(plane + half * 32));
    h = g < 4 ? _mm256_slli_epi16(h, (int)(4 - g)) : _mm256_srli_epi16(h, (int)(g - 4));
    v = _mm256_or_si256(v, _mm256_and_si256(h, _mm256_set1_epi8(16)));
  }
  return v;
}

// Small unsigned codes: sums stay in 16 bits over the whole block. Up to 15 they fit as they are; up to 31 they may
// wrap on the way, but less 16 the total fits (16 · 127 · 16), and the offset is given back where it was not asked for.
INLINE void block_sums_unsigned(const uint8_t *codes, const uint8_t *plane, const input_block *in, size_t tokens,
                                code_kind kind, int packed, i32x16 *sums) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i acc[INT8_TILE][2];
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) {
    __m256i offset = _mm256_setzero_si256();
    if (kind != CODES_UP_TO_15) offset = _mm256_set1_epi32(in->offsets[t]);
    if (kind == CODES_LESS_16 || kind == CODES_UP_TO_31) offset = _mm256_add_epi16(offset, offset);
    acc[t][0] = acc[t][1] = offset;
  }
#pragma clang loop unroll(full)
  for (size_t g = 0; g < 8; g++) {
    KEEP_ORDER;
    __m256i w0 = load_half_codes(codes, plane, g, 0, kind, packed);
    __m256i w1 = load_half_codes(codes, plane, g, 1, kind, packed);
#pragma clang loop unroll(full)
    for (size_t t = 0; t < tokens; t++) {
      __m256i a = _mm256_set1_epi32(in->words[g * tokens + t]);
      acc[t][0] = _mm256_add_epi16(acc[t][0], _mm256_maddubs_epi16(w0, a));
      acc[t][1] = _mm256_add_epi16(acc[t][1], _mm256_maddubs_epi16(w1, a));
      KEEP(acc[t][0]);
      KEEP(acc[t][1]);
    }
  }
  KEEP_ORDER;
#pragma clang loop unroll(full)
  for (size_t t = 0; t < tokens; t++) {
    __m256i lo = _mm256_madd_epi16(acc[t][0], ones), hi = _mm256_madd_epi16(acc[t][1], ones);
    if (kind == CODES_UP_TO_31) {
      __m256i back = _mm256_set1_epi32(in->sums[t] * 16);
      lo = _mm256_add_epi32(lo, back), hi = _mm256_add_epi32(hi, back);
    }
    sums[t] = i32x16_of(lo, hi);
  }
}

INLINE void block_sums(const uint8_t *codes, const uint8_t *plane, const input_block *in, size_t tokens,
                       code_kind kind, int packed, i32x16 *sums) {
  if (kind == CODES_SIGNED) block_sums_signed(codes, in, tokens, sums);
  else block_sums_unsigned(codes, plane, in, tokens, kind, packed, sums);
}
