// The nearest lattice point, exactly, for sixteen lanes at once: the heart of the IQ2 and IQ3 encoders.
//
// A point's cost is a sum over its elements, so the two halves' sums are tabled for every combination of levels, 64 (IQ3)
// or 81 (IQ2) each. The points that share an upper half lie together (quern_grid_run): the least lower half among them is
// one minimum per point, and only once per run is there something to add, to compare and to remember. Which lower half
// was least is told by its code in the last bits of the cost itself, whose rounding (2^-15 of the cost at most) decides
// only between points that are equally good.

// A format, known at compile time.
typedef struct {
  const uint16_t *points;
  const quern_grid_run *runs;
  const float *values;           // of the levels
  int pointCount, runCount;
  int dimensions, levels, bits;  // elements of a point; levels, and bits of one in a code
  int elements, lanes;           // elements that share a scale, which are a lane; lanes of a block
  float parts;                   // x = ± d / parts · an odd number up to 31 · value
  int isEven;                    // the minus signs of eight elements are even in number
} lattice;

enum { LATTICE_PAIR = 2, LATTICE_MOST = 171 };  // groups that are looked up together; codes of a half

// Costs of a half of a point by its code, of two groups side by side.
typedef f32x16 lattice_costs[LATTICE_MOST][LATTICE_PAIR];

INLINE int lattice_half_bits(lattice l) { return l.dimensions / 2 * l.bits; }

// Weighted squared errors of one element under every level.
INLINE void lattice_element(lattice l, f32x16 x, const f32x16 *weight, f32x16 step, f32x16 cost[8]) {
  for (int v = 0; v < l.levels; v++) {
    f32x16 e = f32x16_fma(f32x16_splat(-l.values[v]), step, x);
    cost[v] = *weight * e * e;
  }
}

// Costs of group g's half x[0 …] under `step`, for every combination of levels; with their codes in the last bits.
INLINE void lattice_half(lattice l, const f32x16 *x, const f32x16 *weights, f32x16 step, int g, int isTagged,
                         lattice_costs costs) {
  f32x16 cost[4][8], pair[2][9];
  int half = l.dimensions / 2, bits = lattice_half_bits(l), count = l.levels == 3 ? 9 : 8;
  for (int i = 0; i < half; i++) lattice_element(l, x[i], weights + i, step, cost[i]);
  for (int i = 0; i < 2; i++)
    for (int k = 0; k < count; k++) pair[i][k] = half == 4 ? cost[2 * i][k % 3] + cost[2 * i + 1][k / 3] : cost[i][k];
  for (int j = 0; j < count; j++)
    for (int k = 0; k < count; k++) {
      int low = half == 4 ? k % 3 | k / 3 << 2 : k, high = half == 4 ? j % 3 | j / 3 << 2 : j;
      int code = low | high << (bits / 2);
      f32x16 sum = pair[0][k] + pair[1][j];
      costs[code][g] = isTagged ? (f32x16)(((i32x16)sum & -(1 << bits)) | code) : sum;
    }
}

// The codes of the points nearest to two groups' elements (magnitudes), and their costs.
INLINE void lattice_nearest(lattice l, const f32x16 *x, const f32x16 *weights, f32x16 step, i32x16 *codes,
                            f32x16 *costs) {
  lattice_costs lower, upper;
  int half = l.dimensions / 2, bits = lattice_half_bits(l), mask = (1 << bits) - 1;
  for (int g = 0; g < LATTICE_PAIR; g++) {
    const f32x16 *at = x + g * l.dimensions, *w = weights + g * l.dimensions;
    lattice_half(l, at, w, step, g, 1, lower);
    lattice_half(l, at + half, w + half, step, g, 0, upper);
  }
  f32x16 best0 = f32x16_splat(__builtin_inff()), best1 = best0, least0 = f32x16_splat(0), least1 = least0;
  i32x16 above0 = {0}, above1 = {0};
  for (int r = 0; r < l.runCount; r++) {
    quern_grid_run run = l.runs[r];
    const uint16_t *point = l.points + run.first, *end = point + run.count;
    const f32x16 *c = lower[*point & mask];
    f32x16 m0 = c[0], m1 = c[1];
    while (++point < end) {
      c = lower[*point & mask];
      m0 = f32x16_min(m0, c[0]);
      m1 = f32x16_min(m1, c[1]);
    }
    f32x16 t0 = m0 + upper[run.upper][0], t1 = m1 + upper[run.upper][1];
    i32x16 better0 = t0 < best0, better1 = t1 < best1;
    best0 = f32x16_min(t0, best0);
    best1 = f32x16_min(t1, best1);
    least0 = f32x16_select(better0, m0, least0);
    least1 = f32x16_select(better1, m1, least1);
    i32x16 number = i32x16_splat(run.upper << bits);
    above0 = (number & better0) | (above0 & ~better0);
    above1 = (number & better1) | (above1 & ~better1);
  }
  codes[0] = above0 | ((i32x16)least0 & mask);
  codes[1] = above1 | ((i32x16)least1 & mask);
  costs[0] = best0;
  costs[1] = best1;
}

// The value of element i of a point.
INLINE f32x16 lattice_value(lattice l, i32x16 code, int i) {
  i32x16 level = (code >> (i * l.bits)) & ((1 << l.bits) - 1);
  if (l.levels == 3) return f32x16_from_i32(iq2_values(level));
  return f32x16_from_i32(l.values[7] == 15 ? 1 + 2 * level : iq3_xxs_values(level));
}

// The number of the point with this code, which is one of the lattice's.
INLINE uint32_t lattice_index(lattice l, uint32_t code) {
  uint32_t index = 0;
  for (uint32_t step = (uint32_t)l.pointCount / 2; step > 0; step /= 2)
    index += l.points[index + step] <= code ? step : 0;
  return index;
}
