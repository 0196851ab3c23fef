// Writing the IQ2 and IQ3 formats (layouts: codec_grid.inc.h) from what codec_lattice_search.inc.h found.

static const float iq2_levels[3] = {8, 25, 43};
static const float iq3_xxs_levels[8] = {4, 12, 20, 28, 36, 44, 52, 62}, iq3_s_levels[8] = {1, 3, 5, 7, 9, 11, 13, 15};

// Splits the elements into magnitudes and signs, eight to a byte. Where the number of minus signs must be even and is
// not, the element that loses least by it gets the other sign: its magnitude is negative from here on.
INLINE void lattice_signs(int elements, int isEven, const f32x16 *x, const f32x16 *weights, f32x16 *magnitudes,
                          i32x16 *signs) {
  for (int g = 0; g < elements / 8; g++) {
    i32x16 bits = {0}, odd = {0};
    for (int i = 0; i < 8; i++) {
      i32x16 isMinus = x[8 * g + i] < 0;
      bits |= isMinus & (1 << i);
      odd ^= isMinus;
      magnitudes[8 * g + i] = f32x16_abs(x[8 * g + i]);
    }
    if (isEven) {
      f32x16 least = f32x16_splat(__builtin_inff());
      i32x16 which = {0};
      for (int i = 0; i < 8; i++) {
        f32x16 loss = weights ? weights[8 * g + i] * magnitudes[8 * g + i] : magnitudes[8 * g + i];
        i32x16 better = loss < least;
        least = f32x16_select(better, loss, least);
        which = (better & i) | (which & ~better);
      }
      for (int i = 0; i < 8; i++) {
        i32x16 flips = odd & (which == i);
        magnitudes[8 * g + i] = (f32x16)((i32x16)magnitudes[8 * g + i] ^ (flips & INT32_MIN));
        bits ^= flips & (1 << i);
      }
    }
    signs[g] = bits;
  }
}

// The plain squared error, and the numbers of the points as [lane][point].
INLINE f64x16 lattice_finish(lattice l, int elements, float perUnit, const f32x16 *magnitudes, const lattice_choice *best,
                             uint16_t numbers[16][LATTICE_CODES]) {
  f64x16 error = {0};
  f32x16 step = best->d / perUnit * best->scale;
  for (int j = 0; j < elements; j++) {
    f32x16 q = lattice_value(l, best->fit.codes[j / l.dimensions], j % l.dimensions);
    f64x16 wide = f64x16_from_f32(magnitudes[j] - q * step);
    error += wide * wide;
  }
  for (int k = 0; k < elements / l.dimensions; k++)
    for (int b = 0; b < 16; b++) numbers[b][k] = (uint16_t)lattice_index(l, (uint32_t)best->fit.codes[k][b]);
  return error;
}

// A format's lattice, and its search over one group: numbers of the points, signs, scales 0 … 15, halves, the error.
#define LATTICE(NAME, GRID, VALUES, POINTS, RUNS, DIMENSIONS, LEVELS, BITS, ELEMENTS, LANES, PER_UNIT, EVEN)            \
  INLINE lattice NAME##_lattice(void) {                                                                              \
    return (lattice){quern_grid_##GRID, quern_grid_runs_##GRID, VALUES, POINTS, RUNS, DIMENSIONS, LEVELS, BITS};     \
  }                                                                                                                  \
  static __attribute__((noinline)) void PASTE(NAME##_measure, ISA)(const f32x16 *x, const f32x16 *weights,            \
                                                                   const f32x16 *step, lattice_fit *fit) {           \
    lattice_measure_lane(NAME##_lattice(), ELEMENTS, x, 0, *step, fit);                                              \
    (void)weights;                                                                                                   \
  }                                                                                                                  \
  static __attribute__((noinline)) void PASTE(NAME##_measure_weighted, ISA)(const f32x16 *x, const f32x16 *weights,   \
                                                                            const f32x16 *step, lattice_fit *fit) {  \
    lattice_measure_lane(NAME##_lattice(), ELEMENTS, x, weights, *step, fit);                                        \
  }                                                                                                                  \
  INLINE f64x16 NAME##_group(const f32x16 *x, const f32x16 *weights, uint8_t *const blocks[16]) {                    \
    f32x16 magnitudes[32];                                                                                           \
    lattice_block o;                                                                                                 \
    lattice_signs(ELEMENTS, EVEN, x, weights, magnitudes, o.signs);                                                  \
    lattice_choice best =                                                                                            \
        lattice_search(NAME##_lattice(), ELEMENTS, LANES, PER_UNIT, magnitudes, weights,                             \
                       weights ? PASTE(NAME##_measure_weighted, ISA) : PASTE(NAME##_measure, ISA));                  \
    f64x16 error = lattice_finish(NAME##_lattice(), ELEMENTS, PER_UNIT, magnitudes, &best, o.numbers);               \
    o.scales = (i32x16_from_f32(best.scale) - 1) >> 1;                                                               \
    o.halves = half_from_f32x16(best.d);                                                                             \
    for (int b = 0; b < 16 / LANES; b++) NAME##_store(blocks[b], &o, b * LANES);                                     \
    return error;                                                                                                    \
  }

typedef struct {
  uint16_t numbers[16][LATTICE_CODES];
  i32x16 signs[4], scales;
  u16x16 halves;
} lattice_block;

INLINE void iq3_s_store(uint8_t *block, const lattice_block *o, int first) {
  memset(block, 0, 110);
  store_u16(block, o->halves[first]);
  for (int j = 0; j < 8; j++) {
    for (int k = 0; k < 8; k++) {
      uint32_t number = o->numbers[first + j][k];
      block[2 + 8 * j + k] = (uint8_t)number;
      block[66 + j] |= (uint8_t)(number >> 8 << k);
    }
    for (int g = 0; g < 4; g++) block[74 + 4 * j + g] = (uint8_t)o->signs[g][first + j];
    block[106 + j / 2] |= (uint8_t)(o->scales[first + j] << (4 * (j % 2)));
  }
}

// Four times seven signs and four bits of scale.
INLINE void sevens_store(uint8_t *out, const lattice_block *o, int lane) {
  uint32_t rest = (uint32_t)o->scales[lane] << 28;
  for (int g = 0; g < 4; g++) rest |= ((uint32_t)o->signs[g][lane] & 127) << (7 * g);
  memcpy(out, &rest, 4);
}

INLINE void iq3_xxs_store(uint8_t *block, const lattice_block *o, int first) {
  store_u16(block, o->halves[first]);
  for (int j = 0; j < 8; j++) {
    for (int k = 0; k < 8; k++) block[2 + 8 * j + k] = (uint8_t)o->numbers[first + j][k];
    sevens_store(block + 66 + 4 * j, o, first + j);
  }
}

INLINE void iq2_xxs_store(uint8_t *block, const lattice_block *o, int first) {
  store_u16(block, o->halves[first]);
  for (int j = 0; j < 8; j++) {
    for (int k = 0; k < 4; k++) block[2 + 8 * j + k] = (uint8_t)o->numbers[first + j][k];
    sevens_store(block + 6 + 8 * j, o, first + j);
  }
}

INLINE void iq2_xs_store(uint8_t *block, const lattice_block *o, int first) {
  store_u16(block, o->halves[first]);
  memset(block + 66, 0, 8);
  for (int r = 0; r < 16; r++) {
    for (int k = 0; k < 2; k++)
      store_u16(block + 2 + 4 * r + 2 * k, (uint16_t)(o->numbers[r][k] | (o->signs[k][r] & 127) << 9));
    block[66 + r / 2] |= (uint8_t)(o->scales[r] << (4 * (r % 2)));
  }
}

INLINE void iq2_s_store(uint8_t *block, const lattice_block *o, int first) {
  store_u16(block, o->halves[first]);
  memset(block + 66, 0, 16);
  for (int r = 0; r < 16; r++) {
    for (int k = 0; k < 2; k++) {
      uint32_t number = o->numbers[r][k];
      block[2 + 2 * r + k] = (uint8_t)number;
      block[34 + 2 * r + k] = (uint8_t)o->signs[k][r];
      block[66 + r / 2] |= (uint8_t)(number >> 8 << (4 * (r % 2) + 2 * k));
    }
    block[74 + r / 2] |= (uint8_t)(o->scales[r] << (4 * (r % 2)));
  }
}

LATTICE(iq2_xxs, iq2_xxs, iq2_levels, 256, 72, 8, 3, 2, 32, 8, 8, 1)
LATTICE(iq2_xs, iq2_xs, iq2_levels, 512, 79, 8, 3, 2, 16, 16, 8, 1)
LATTICE(iq2_s, iq2_s, iq2_levels, 1024, 81, 8, 3, 2, 16, 16, 8, 0)
LATTICE(iq3_xxs, iq3_xxs, iq3_xxs_levels, 256, 61, 4, 8, 3, 32, 8, 4, 1)
LATTICE(iq3_s, iq3_s, iq3_s_levels, 512, 64, 4, 8, 3, 32, 8, 1, 0)

ENCODE_GROUPS(iq2_xxs, 32, 8, 66)
ENCODE_GROUPS(iq2_xs, 16, 16, 74)
ENCODE_GROUPS(iq2_s, 16, 16, 82)
ENCODE_GROUPS(iq3_xxs, 32, 8, 98)
ENCODE_GROUPS(iq3_s, 32, 8, 110)
