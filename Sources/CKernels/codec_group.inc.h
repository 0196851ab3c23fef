// Sixteen blocks (of the K formats: sub-blocks) side by side: lane b of x[j] is element j of block b. The scale searches
// run on all sixteen at once, every lane its own search, so a block's bytes do not depend on its neighbours.

// Lanes 0–7 and 8–15 are two transposes side by side: out[j] holds element j of rows 0–7 and of rows 8–15.
INLINE void f32_transpose8(const float *const rows[16], size_t column, f32x16 out[8]) {
  f32x16 r[8], s[8];
  for (int i = 0; i < 8; i++) {
    f32x8 low, high;
    memcpy(&low, rows[i] + column, sizeof low);
    memcpy(&high, rows[i + 8] + column, sizeof high);
    r[i] = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
  for (int i = 0; i < 8; i += 4)
    for (int k = 0; k < 2; k++) {
      f32x16 a = s[i + k], b = s[i + 2 + k];
      r[i + 2 * k] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      r[i + 2 * k + 1] = __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  for (int i = 0; i < 4; i++) {
    out[i] = __builtin_shufflevector(r[i], r[i + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    out[i + 4] = __builtin_shufflevector(r[i], r[i + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  }
}

// rows: sixteen pointers to `elements` (a multiple of 8) floats each; x: [element][block].
INLINE void group_load(const float *const rows[16], int elements, f32x16 *x) {
  for (int column = 0; column < elements; column += 8) f32_transpose8(rows, (size_t)column, x + column);
}

// Sets what is not finite to zero and returns how many there were, per lane.
INLINE i32x16 group_clean(int elements, f32x16 *x) {
  const i32x16 infinity = i32x16_splat(0x7f800000);
  i32x16 most = {0}, bad = {0};
  for (int j = 0; j < elements; j++) most = __builtin_elementwise_max(most, (i32x16)x[j] & 0x7fffffff);
  if (i32x16_sum(most >= infinity) == 0) return bad;  // as nearly always
  for (int j = 0; j < elements; j++) {
    i32x16 isBad = ((i32x16)x[j] & infinity) == infinity;
    x[j] = (f32x16)((i32x16)x[j] & ~isBad);
    bad -= isBad;
  }
  return bad;
}

// rows[j] lane b → rows[b] byte j: four perfect shuffles of sixteen rows transpose them.
INLINE void u8_transpose16(u8x16 *rows) {
  for (int stage = 0; stage < 4; stage++) {
    u8x16 next[16];
    for (int i = 0; i < 8; i++) {
      next[2 * i] = __builtin_shufflevector(rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] =
          __builtin_shufflevector(rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (int i = 0; i < 16; i++) rows[i] = next[i];
  }
}

// Writes sixteen rows of bytes, one per block, at the same place in each block.
INLINE void group_store(uint8_t *const blocks[16], size_t offset, u8x16 *rows) {
  u8_transpose16(rows);
  for (int b = 0; b < 16; b++) memcpy(blocks[b] + offset, &rows[b], 16);
}
INLINE void group_store_u16(uint8_t *const blocks[16], size_t offset, u16x16 values) {
  for (int b = 0; b < 16; b++) {
    uint16_t v = values[b];
    memcpy(blocks[b] + offset, &v, 2);
  }
}

// Encodes the blocks of one group: x and weights (NULL: uniform) are [element][lane]; returns the squared errors.
typedef f64x16 group_encoder(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]);

// How blocks lie in a group: `lanes` lanes to a block, each with `elements` elements (at most 32).
typedef struct {
  size_t elements, lanes, blockBytes;
} group_shape;

// Blocks that are encoded next, as many as sixteen lanes hold.
typedef struct {
  const float *rows[16], *weightRows[16];
  uint8_t *blocks[16];
  size_t lanes;
} group_queue;

typedef struct {
  f64x16 error;
  i32x16 bad;
} group_totals;

// Encodes what is queued; lanes without a block are filled up with zeros.
INLINE void group_flush(group_queue *queue, group_shape shape, group_encoder *encoder, int isWeighted, int isUnbiased,
                        group_totals *totals) {
  static const float zeros[32];
  uint8_t sink[256];
  if (queue->lanes == 0) return;
  for (size_t lane = queue->lanes; lane < 16; lane++) {
    queue->rows[lane] = queue->weightRows[lane] = zeros;
    if (lane % shape.lanes == 0) queue->blocks[lane / shape.lanes] = sink;
  }
  f32x16 x[32], weights[32];
  group_load(queue->rows, (int)shape.elements, x);
  totals->bad += group_clean((int)shape.elements, x);
  if (isWeighted) {
    group_load(queue->weightRows, (int)shape.elements, weights);
    group_clean((int)shape.elements, weights);
  }
  totals->error += encoder(x, isWeighted ? weights : 0, isUnbiased, queue->blocks);
  queue->lanes = 0;
}

INLINE int is_all_ones(const float *weights, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (weights[i] != 1) return 0;
  return 1;
}

// Runs a group encoder over any number of blocks. Where few columns weigh more than the others, most blocks are without
// one: these are encoded as without weights, which is the same and faster.
INLINE size_t encode_groups(const float *in, size_t count, const float *importance, size_t period, int isUnbiased,
                            uint8_t *out, double *squaredError, group_shape shape, group_encoder *uniform,
                            group_encoder *weighted) {
  enum { FLAGS = 1024 };
  uint8_t isEven[FLAGS];
  size_t blockElements = shape.elements * shape.lanes, blockCount = count / blockElements;
  size_t places = importance ? period / blockElements : 1;
  if (places <= FLAGS)
    for (size_t i = 0; i < places; i++) isEven[i] = !importance || is_all_ones(importance + i * blockElements, blockElements);
  group_queue even = {.lanes = 0}, uneven = {.lanes = 0};
  group_totals totals = {{0}, {0}};
  for (size_t block = 0, place = 0; block < blockCount; block++) {
    group_queue *queue = places <= FLAGS && isEven[place] ? &even : &uneven;
    queue->blocks[queue->lanes / shape.lanes] = out + block * shape.blockBytes;
    for (size_t lane = 0; lane < shape.lanes; lane++, queue->lanes++) {
      size_t element = lane * shape.elements;
      queue->rows[queue->lanes] = in + block * blockElements + element;
      queue->weightRows[queue->lanes] = importance ? importance + place * blockElements + element : 0;
    }
    if (++place == places) place = 0;
    int isLast = block + 1 == blockCount;
    if (even.lanes == 16 || isLast) group_flush(&even, shape, uniform, 0, isUnbiased, &totals);
    if (uneven.lanes == 16 || isLast) group_flush(&uneven, shape, weighted, 1, isUnbiased, &totals);
  }
  *squaredError = f64x16_sum(totals.error);
  return (size_t)i32x16_sum(totals.bad);
}

// A format's encoder from the body NAME_group(x, weights, isUnbiased, blocks): compiled once without weights and once with.
#define ENCODE_GROUPS(NAME, ELEMENTS, LANES, BYTES)                                                              \
  static f64x16 PASTE(NAME##_uniform, ISA)(const f32x16 *x, const f32x16 *weights, int isUnbiased,               \
                                           uint8_t *const blocks[16]) {                                          \
    (void)weights;                                                                                               \
    return NAME##_group(x, 0, isUnbiased, blocks);                                                               \
  }                                                                                                              \
  static f64x16 PASTE(NAME##_weighted, ISA)(const f32x16 *x, const f32x16 *weights, int isUnbiased,              \
                                            uint8_t *const blocks[16]) {                                         \
    return NAME##_group(x, weights, isUnbiased, blocks);                                                         \
  }                                                                                                              \
  static size_t PASTE(encode_##NAME, ISA)(const float *in, size_t n, const float *importance, size_t period,     \
                                          int isUnbiased, uint8_t *blocks, double *squaredError) {               \
    return encode_groups(in, n, importance, period, isUnbiased, blocks, squaredError,                            \
                         (group_shape){ELEMENTS, LANES, BYTES}, PASTE(NAME##_uniform, ISA),                      \
                         PASTE(NAME##_weighted, ISA));                                                           \
  }
