// Writing the IQ2 and IQ3 formats (layouts: codec_grid.inc.h) from what codec_lattice_search.inc.h found.

// Splits the elements into magnitudes and signs, eight to a byte. Where the number of minus signs must be even and is
// not, the element that loses least by it gets the other sign: its magnitude is negative from here on.
INLINE void lattice_signs(lattice l, const f32x16 *x, const f32x16 *weights, f32x16 *magnitudes, i32x16 *signs) {
  for (int g = 0; g < l.elements / 8; g++) {
    i32x16 bits = {0}, odd = {0};
    for (int i = 0; i < 8; i++) {
      i32x16 isMinus = x[8 * g + i] < 0;
      bits |= isMinus & (1 << i);
      odd ^= isMinus;
      magnitudes[8 * g + i] = f32x16_abs(x[8 * g + i]);
    }
    if (l.isEven) {
      f32x16 least = f32x16_splat(__builtin_inff());
      i32x16 which = {0};
      for (int i = 0; i < 8; i++) {
        f32x16 loss = weights[8 * g + i] * magnitudes[8 * g + i];
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

// What is stored of a group.
typedef struct {
  uint16_t numbers[16][LATTICE_CODES];  // of the points, by lane
  i32x16 signs[4];                      // of eight elements
  i32x16 scales;                        // 0 … 15
  u16x16 halves;
} lattice_group;

// Weights (NULL: uniform) for the search: as ggml's encoders do, times sqrt(σ² + x²). What a large element loses shrinks
// the sums that it is part of, always in the same direction, where the losses of the others cancel; with so few levels that
// tells: 7 to 13 % less divergence on kjv-llama's calibration text, in IQ3_S next to none.
INLINE void lattice_steer(lattice l, const f32x16 *x, const f32x16 *weights, f32x16 *steered) {
  f32x16 squares = f32x16_splat(0);
  for (int j = 0; j < l.elements; j++) squares = f32x16_fma(x[j], x[j], squares);
  f32x16 mean = block_sum(squares, l.lanes) / (float)(l.elements * l.lanes);
  for (int j = 0; j < l.elements; j++) {
    f32x16 size = __builtin_elementwise_sqrt(f32x16_fma(x[j], x[j], mean));
    steered[j] = weights ? weights[j] * size : size;
  }
}

// The block's d, unbiased (codec_unbiased.inc.h).
INLINE f32x16 lattice_unbiased(lattice l, const f32x16 *x, const f32x16 *weights, const lattice_choice *c) {
  f32x16 step = c->d / l.parts * c->multiple, zero = f32x16_splat(0);
  unbiased_sums s = {zero, zero};
  for (int j = 0; j < l.elements; j++) {
    f32x16 q = lattice_value(l, c->fit.codes[j / l.dimensions], j % l.dimensions) * step;
    f32x16 wx = weights ? weights[j] * x[j] : x[j];
    s.kept = f32x16_fma(wx, q, s.kept);
    s.whole = f32x16_fma(wx, x[j], s.whole);
  }
  return f32x16_to_half_grid(c->d * unbiased_factor(s, l.lanes));
}

// The plain squared errors of a choice.
INLINE f64x16 lattice_error(lattice l, const f32x16 *x, const lattice_choice *c) {
  f64x16 error = {0};
  f32x16 step = c->d / l.parts * c->multiple;
  for (int j = 0; j < l.elements; j++) {
    f64x16 wide = f64x16_from_f32(x[j] - lattice_value(l, c->fit.codes[j / l.dimensions], j % l.dimensions) * step);
    error += wide * wide;
  }
  return error;
}

// Searches one group; returns the plain squared error.
INLINE f64x16 lattice_encode(lattice l, const f32x16 *x, const f32x16 *weights, int isUnbiased,
                             lattice_measure *measure, lattice_group *o) {
  f32x16 magnitudes[32], steered[32];
  lattice_steer(l, x, weights, steered);
  lattice_signs(l, x, steered, magnitudes, o->signs);
  lattice_choice best = lattice_search(l, magnitudes, steered, measure);
  if (isUnbiased) best.d = lattice_unbiased(l, magnitudes, weights, &best);
  f64x16 error = lattice_error(l, magnitudes, &best), energy = {0};
  for (int j = 0; j < l.elements; j++) {
    f64x16 wide = f64x16_from_f32(magnitudes[j]);
    energy += wide * wide;
  }
  // Formats without a zero can lose more than everything where nearly all elements are zero.
  f32x16 lost = block_sum(__builtin_convertvector(error, f32x16), l.lanes);
  i32x16 isWorse = lost > block_sum(__builtin_convertvector(energy, f32x16), l.lanes);
  if (i32x16_sum(isWorse) != 0) {
    best.d = f32x16_select(isWorse, f32x16_splat(0), best.d);
    error = lattice_error(l, magnitudes, &best);
  }
  for (int k = 0; k < l.elements / l.dimensions; k++)
    for (int b = 0; b < 16; b++) o->numbers[b][k] = (uint16_t)lattice_index(l, (uint32_t)best.fit.codes[k][b]);
  o->scales = (i32x16_from_f32(best.multiple) - 1) >> 1;
  o->halves = half_from_f32x16(best.d);
  return error;
}

INLINE void iq3_s_store(uint8_t *block, const lattice_group *o, int first) {
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
INLINE void sevens_store(uint8_t *out, const lattice_group *o, int lane) {
  uint32_t rest = (uint32_t)o->scales[lane] << 28;
  for (int g = 0; g < 4; g++) rest |= ((uint32_t)o->signs[g][lane] & 127) << (7 * g);
  memcpy(out, &rest, 4);
}

INLINE void iq3_xxs_store(uint8_t *block, const lattice_group *o, int first) {
  store_u16(block, o->halves[first]);
  for (int j = 0; j < 8; j++) {
    for (int k = 0; k < 8; k++) block[2 + 8 * j + k] = (uint8_t)o->numbers[first + j][k];
    sevens_store(block + 66 + 4 * j, o, first + j);
  }
}

INLINE void iq2_xxs_store(uint8_t *block, const lattice_group *o, int first) {
  store_u16(block, o->halves[first]);
  for (int j = 0; j < 8; j++) {
    for (int k = 0; k < 4; k++) block[2 + 8 * j + k] = (uint8_t)o->numbers[first + j][k];
    sevens_store(block + 6 + 8 * j, o, first + j);
  }
}

INLINE void iq2_xs_store(uint8_t *block, const lattice_group *o, int first) {
  store_u16(block, o->halves[first]);
  memset(block + 66, 0, 8);
  for (int r = 0; r < 16; r++) {
    for (int k = 0; k < 2; k++)
      store_u16(block + 2 + 4 * r + 2 * k, (uint16_t)(o->numbers[r][k] | (o->signs[k][r] & 127) << 9));
    block[66 + r / 2] |= (uint8_t)(o->scales[r] << (4 * (r % 2)));
  }
}

INLINE void iq2_s_store(uint8_t *block, const lattice_group *o, int first) {
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

// The numbers of a format: values; points, runs; dimensions, levels, bits; elements, lanes; parts; even signs.
#define LATTICE_OF(NAME) ((lattice){quern_grid_##NAME, quern_grid_runs_##NAME, NAME##_LATTICE})
#define iq2_xxs_LATTICE iq2_level_values, 256, 72, 8, 3, 2, 32, 8, 8, 1
#define iq2_xs_LATTICE iq2_level_values, 512, 79, 8, 3, 2, 16, 16, 8, 1
#define iq2_s_LATTICE iq2_level_values, 1024, 81, 8, 3, 2, 16, 16, 8, 0
#define iq3_xxs_LATTICE iq3_xxs_level_values, 256, 61, 4, 8, 3, 32, 8, 4, 1
#define iq3_s_LATTICE iq3_s_level_values, 512, 64, 4, 8, 3, 32, 8, 1, 0

static const float iq2_level_values[3] = {8, 25, 43};
static const float iq3_xxs_level_values[8] = {4, 12, 20, 28, 36, 44, 52, 62};
static const float iq3_s_level_values[8] = {1, 3, 5, 7, 9, 11, 13, 15};

// A format's encoder from the body NAME_store(block, group, first lane).
#define ENCODE_LATTICE(NAME, ELEMENTS, LANES, BYTES)                                                                \
  static __attribute__((noinline)) void PASTE(NAME##_measure, ISA)(const f32x16 *x, const f32x16 *weights,          \
                                                                   const f32x16 *step, lattice_fit *fit) {          \
    lattice_measure_lanes(LATTICE_OF(NAME), x, weights, *step, fit);                                                \
  }                                                                                                                 \
  INLINE f64x16 NAME##_group(const f32x16 *x, const f32x16 *weights, int isUnbiased, uint8_t *const blocks[16]) {                   \
    lattice_group o;                                                                                                \
    f64x16 error = lattice_encode(LATTICE_OF(NAME), x, weights, isUnbiased, PASTE(NAME##_measure, ISA), &o);                    \
    for (int b = 0; b < 16 / LANES; b++) NAME##_store(blocks[b], &o, b * LANES);                                    \
    return error;                                                                                                   \
  }                                                                                                                 \
  ENCODE_GROUPS(NAME, ELEMENTS, LANES, BYTES)

ENCODE_LATTICE(iq2_xxs, 32, 8, 66)
ENCODE_LATTICE(iq2_xs, 16, 16, 74)
ENCODE_LATTICE(iq2_s, 16, 16, 82)
ENCODE_LATTICE(iq3_xxs, 32, 8, 98)
ENCODE_LATTICE(iq3_s, 32, 8, 110)
