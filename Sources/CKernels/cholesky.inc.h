// Cholesky's factorization by blocks of columns, looking left, and the two triangular solves. Doubles, in fixed chains.

typedef double f64x4 __attribute__((vector_size(32)));
INLINE f64x4 f64x4_load(const double *p) { f64x4 v; memcpy(&v, p, sizeof v); return v; }
INLINE f64x4 f64x4_fma(f64x4 a, f64x4 b, f64x4 c) { return __builtin_elementwise_fma(a, b, c); }
INLINE double f64x4_sum(f64x4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// out[i][j] -= Σ_{k < depth} a[i][k] · b[j][k] for 2 × 4 rows; depth is a multiple of 4.
INLINE void subtract_tile(const double *a, const double *b, size_t stride, size_t depth, double *out, size_t outStride) {
  f64x4 sums[2][4] = {{{0}}};
  for (size_t k = 0; k < depth; k += 4)
    for (int i = 0; i < 2; i++) {
      f64x4 x = f64x4_load(a + (size_t)i * stride + k);
      for (int j = 0; j < 4; j++) sums[i][j] = f64x4_fma(x, f64x4_load(b + (size_t)j * stride + k), sums[i][j]);
    }
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 4; j++) out[(size_t)i * outStride + (size_t)j] -= f64x4_sum(sums[i][j]);
}

INLINE double subtract_dot(const double *a, const double *b, size_t depth, double from) {
  for (size_t k = 0; k < depth; k++) from = __builtin_fma(-a[k], b[k], from);
  return from;
}

static void cholesky_update(const quern_cholesky *c, size_t firstRow, size_t rowCount, size_t columns) {
  double *m = c->matrix;
  size_t row = firstRow, end = firstRow + rowCount;
  for (; row + 2 <= end; row += 2) {
    size_t j = 0;
    for (; j + 4 <= columns; j += 4)
      subtract_tile(m + row * c->stride, m + (c->block + j) * c->stride, c->stride, c->block,
                    m + row * c->stride + c->block + j, c->stride);
    for (; j < columns; j++)
      for (size_t i = row; i < row + 2; i++) {
        double *x = &m[i * c->stride + c->block + j];
        *x = subtract_dot(m + i * c->stride, m + (c->block + j) * c->stride, c->block, *x);
      }
  }
  for (; row < end; row++)
    for (size_t j = 0; j < columns; j++) {
      double *x = &m[row * c->stride + c->block + j];
      *x = subtract_dot(m + row * c->stride, m + (c->block + j) * c->stride, c->block, *x);
    }
}

static size_t cholesky_columns(const quern_cholesky *c) {
  size_t rest = c->size - c->block;
  return rest < QUERN_CHOLESKY_BLOCK ? rest : QUERN_CHOLESKY_BLOCK;
}

static int cholesky_corner(const quern_cholesky *c) {
  size_t columns = cholesky_columns(c);
  cholesky_update(c, c->block, columns, columns);
  for (size_t i = 0; i < columns; i++) {
    double *row = c->matrix + (c->block + i) * c->stride + c->block;
    for (size_t j = 0; j <= i; j++) {
      const double *other = c->matrix + (c->block + j) * c->stride + c->block;
      double x = subtract_dot(row, other, j, row[j]);
      if (i > j) row[j] = x / other[j];
      else if (x > 0) row[j] = __builtin_sqrt(x);
      else return 0;
    }
  }
  return 1;
}

static void cholesky_below(const quern_cholesky *c, size_t firstRow, size_t rowCount) {
  size_t columns = cholesky_columns(c);
  cholesky_update(c, firstRow, rowCount, columns);
  for (size_t i = firstRow; i < firstRow + rowCount; i++) {
    double *row = c->matrix + i * c->stride + c->block;
    for (size_t j = 0; j < columns; j++) {
      const double *other = c->matrix + (c->block + j) * c->stride + c->block;
      row[j] = subtract_dot(row, other, j, row[j]) / other[j];
    }
  }
}

// z L Lᵀ = y: forwards for s Lᵀ = y, then backwards for z L = s; sixteen systems in the lanes.
static void cholesky_solve(const quern_solve *a) {
  f64x16 *values = (f64x16 *)a->values;
  for (size_t k = 0; k < a->size; k++) {
    const double *row = a->matrix + k * a->stride;
    f64x16 x = values[k];
    for (size_t j = 0; j < k; j++) x = __builtin_elementwise_fma(values[j], -row[j] - (f64x16){0}, x);
    values[k] = x / row[k];
  }
  for (size_t k = a->size; k-- > 0;) {
    const double *row = a->matrix + k * a->stride;
    f64x16 z = values[k] / row[k];
    values[k] = z;
    for (size_t j = 0; j < k; j++) values[j] = __builtin_elementwise_fma(z, -row[j] - (f64x16){0}, values[j]);
  }
}
