// Plain numbers: blocks of one element, converted sixteen at a time. A ragged tail goes through a padded copy.

typedef void plain_read(const uint8_t *bytes, float *out);       // sixteen elements
typedef void plain_write(const float *in, uint8_t *bytes);

INLINE void decode_plain(const uint8_t *bytes, float *out, size_t count, size_t width, plain_read *read) {
  size_t i = 0;
  for (; i + 16 <= count; i += 16) read(bytes + i * width, out + i);
  if (i == count) return;
  uint8_t tail[16 * 8] = {0};
  float values[16];
  memcpy(tail, bytes + i * width, (count - i) * width);
  read(tail, values);
  memcpy(out + i, values, (count - i) * sizeof(float));
}

INLINE size_t encode_plain(const float *in, size_t count, uint8_t *bytes, double *squaredError, size_t width,
                           plain_write *write, plain_read *read) {
  f64x16 error = {0};
  i32x16 bad = {0};
  for (size_t i = 0; i < count; i += 16) {
    size_t now = count - i < 16 ? count - i : 16;
    float values[16] = {0}, stored[16];
    uint8_t block[16 * 8];
    memcpy(values, in + i, now * sizeof(float));
    write(values, block);
    read(block, stored);
    memcpy(bytes + i * width, block, now * width);
    f32x16 x = f32x16_load(values);
    i32x16 isBad = ((i32x16)x & 0x7f800000) == 0x7f800000;
    f32x16 difference = f32x16_select(isBad, f32x16_splat(0), x - f32x16_load(stored));
    f64x16 wide = f64x16_from_f32(difference);
    error += wide * wide;
    bad -= isBad;
  }
  *squaredError = f64x16_sum(error);
  return (size_t)i32x16_sum(bad);
}

INLINE void read_f32(const uint8_t *bytes, float *out) { memcpy(out, bytes, 64); }
INLINE void write_f32(const float *in, uint8_t *bytes) { memcpy(bytes, in, 64); }
INLINE void read_f16(const uint8_t *bytes, float *out) {
  u16x16 h;
  memcpy(&h, bytes, sizeof h);
  f32x16_store(out, f32x16_from_half(h));
}
INLINE void write_f16(const float *in, uint8_t *bytes) {
  u16x16 h = half_from_f32x16(f32x16_load(in));
  memcpy(bytes, &h, sizeof h);
}
INLINE void read_bf16(const uint8_t *bytes, float *out) {
  u16x16 h;
  memcpy(&h, bytes, sizeof h);
  i32x16 bits = __builtin_convertvector(h, i32x16) << 16;
  bits |= ((bits & 0x7fffffff) > 0x7f800000) & 0x400000;
  f32x16_store(out, (f32x16)bits);
}
// To nearest, ties to even; a NaN keeps the top of its payload and becomes quiet.
INLINE void write_bf16(const float *in, uint8_t *bytes) {
  u32x16 bits = (u32x16)f32x16_load(in);
  u32x16 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, nan = (bits >> 16) | 0x40;
  u32x16 isNan = (u32x16)((bits & 0x7fffffff) > 0x7f800000);
  u16x16 h = __builtin_convertvector((rounded & ~isNan) | (nan & isNan), u16x16);
  memcpy(bytes, &h, sizeof h);
}
INLINE void read_f64(const uint8_t *bytes, float *out) {
  f64x16 v;
  memcpy(&v, bytes, sizeof v);
  f32x16_store(out, __builtin_convertvector(v, f32x16));
}
// An E4M3 number without its sign is a half shifted by seven bits, its exponent's bias eight less.
INLINE void read_f8_e4m3(const uint8_t *bytes, float *out) {
  i32x16 b = __builtin_convertvector(u8x16_load(bytes), i32x16);
  u16x16 h = __builtin_convertvector(((b & 0x80) << 8) | ((b & 0x7f) << 7), u16x16);
  i32x16 isNan = (b & 0x7f) == 0x7f;
  f32x16 x = f32x16_from_half(h) * f32x16_splat(256);
  f32x16_store(out, (f32x16)((((b & 0x80) << 24 | 0x7fc00000) & isNan) | ((i32x16)x & ~isNan)));
}
INLINE void read_f8_e5m2(const uint8_t *bytes, float *out) {
  u16x16 h = __builtin_convertvector(u8x16_load(bytes), u16x16) << 8;
  f32x16_store(out, f32x16_from_half(h));
}

#define DECODE_PLAIN(NAME, WIDTH)                                                     \
  static void PASTE(decode_##NAME, ISA)(const uint8_t *bytes, float *out, size_t n) { \
    decode_plain(bytes, out, n, WIDTH, read_##NAME);                                  \
  }
#define ENCODE_PLAIN(NAME, WIDTH)                                                                                \
  static size_t PASTE(encode_##NAME, ISA)(const float *in, size_t n, const float *importance, size_t period,     \
                                          int isUnbiased, uint8_t *bytes, double *squaredError) {                \
    (void)importance, (void)period, (void)isUnbiased;                                                            \
    return encode_plain(in, n, bytes, squaredError, WIDTH, write_##NAME, read_##NAME);                           \
  }
// Integers, by value; those beyond 2^24 are rounded to nearest.
#define DECODE_INTEGER(NAME, TYPE)                                                    \
  static void PASTE(decode_##NAME, ISA)(const uint8_t *bytes, float *out, size_t n) { \
    for (size_t i = 0; i < n; i++) {                                                  \
      TYPE v;                                                                         \
      memcpy(&v, bytes + i * sizeof v, sizeof v);                                     \
      out[i] = (float)v;                                                              \
    }                                                                                 \
  }

DECODE_PLAIN(f32, 4)
DECODE_PLAIN(f16, 2)
DECODE_PLAIN(bf16, 2)
DECODE_PLAIN(f64, 8)
DECODE_PLAIN(f8_e4m3, 1)
DECODE_PLAIN(f8_e5m2, 1)
ENCODE_PLAIN(f32, 4)
ENCODE_PLAIN(f16, 2)
ENCODE_PLAIN(bf16, 2)
DECODE_INTEGER(i8, int8_t)
DECODE_INTEGER(i16, int16_t)
DECODE_INTEGER(i32, int32_t)
DECODE_INTEGER(i64, int64_t)
DECODE_INTEGER(u8, uint8_t)
DECODE_INTEGER(u16, uint16_t)
DECODE_INTEGER(u32, uint32_t)
DECODE_INTEGER(u64, uint64_t)
