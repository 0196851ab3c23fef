// Error feedback, Cholesky and the gradient of attention: the same bits from every table.
#include "check.h"

// A factor, a diagonal and the matrix they make need not belong together for two tables to agree.
static void checkFeedbackType(const contest *c, size_t type) {
  static const size_t rowCounts[] = {1, 15, 16, 17, 33, 64};
  size_t blockLength = c->table->codecs->rows[type].elements_per_block;
  size_t blockBytes = c->table->codecs->rows[type].bytes_per_block;
  startFunction(c, "feedback of type %zu", type);
  for (size_t step = 0; step < 12; step++) {
    size_t rows = rowCounts[step % 6], columns = blockLength == 256 ? 256 : blockLength * (1 + step % 3), sweeps = step % 3;
    pattern kind = step % 4 == 0 ? patternNormal : step % 4 == 1 ? patternOutliers : step % 4 == 2 ? patternZeros : patternSpecials;
    startCase("%s, %zu rows of %zu, %zu sweeps", patternNames[kind], rows, columns, sweeps);
    size_t panels = columns / 32, rowBytes = columns / blockLength * blockBytes;
    float *targets = floatsOf(rows * columns), *factor = floatsOf(512 * panels * (panels + 1));
    float *diagonal = floatsOf(columns), *gram = floatsOf(columns * columns);
    fillFloats(targets, rows * columns, kind);
    for (size_t i = 0; i < 512 * panels * (panels + 1); i++) factor[i] = randomUniform() * 0.1f;
    for (size_t i = 0; i < columns; i++) diagonal[i] = 0.5f + randomUniform() * 0.4f;
    for (size_t p = 0; p < panels; p++)
      for (size_t row = 0; row < columns; row++)
        for (size_t j = 0; j < 32; j++)
          gram[(p * columns + row) * 32 + j] = (row == 32 * p + j ? 1.0f : 0) + 0.002f * (float)((row + 32 * p + j) % 5);
    uint8_t *blocks[2];
    float *decoded[2];
    double *errors[2];
    size_t bad[2];
    const quern_kernels *both[2] = {c->generic, c->table};
    for (int i = 0; i < 2; i++) {
      blocks[i] = bufferOf(rows * rowBytes, 0);
      decoded[i] = floatsOf(rows * columns);
      errors[i] = bufferOf(rows * sizeof(double), 0);
      quern_feedback arguments = {columns, rows,   targets,   factor,     diagonal,
                                  gram,    sweeps, blocks[i], decoded[i], errors[i],
                                  bufferOf(quern_feedback_scratch(columns), 0)};
      bad[i] = both[i]->feedback->rows[type](&arguments);
    }
    sameBytes("blocks", blocks[0], blocks[1], rows * rowBytes);
    sameFloats("values", decoded[0], decoded[1], rows, columns, columns, 1);
    if (kind != patternSpecials) sameBytes("errors", errors[0], errors[1], rows * sizeof(double));
    holds("the count of what is not finite", bad[0] == bad[1]);
    releaseBuffers();
  }
  finishFunction();
}

static void checkFeedbackGroups(const contest *c) {
  static const struct { size_t columns, group; float low, high; int hasZero, scales; } grids[] = {
      {64, 32, -8, 7, 0, QUERN_SCALES_F16}, {128, 128, -8, 7, 0, QUERN_SCALES_F16},
      {128, 64, 0, 15, 1, QUERN_SCALES_F16}, {96, 96, -128, 127, 0, QUERN_SCALES_BF16},
      {288, 288, -128, 127, 0, QUERN_SCALES_F32},
  };
  static const size_t rowCounts[] = {1, 16, 17, 5};
  startFunction(c, "feedback of groups");
  for (size_t step = 0; step < 20; step++) {
    size_t columns = grids[step % 5].columns, rows = rowCounts[step / 5], groups = columns / grids[step % 5].group;
    pattern kind = step % 4 == 0 ? patternNormal : step % 4 == 1 ? patternOutliers : step % 4 == 2 ? patternZeros : patternSpecials;
    startCase("%s, %zu rows of %zu in groups of %zu", patternNames[kind], rows, columns, grids[step % 5].group);
    size_t panels = columns / 32;
    float *targets = floatsOf(rows * columns), *factor = floatsOf(512 * panels * (panels + 1)), *diagonal = floatsOf(columns);
    fillFloats(targets, rows * columns, kind);
    for (size_t i = 0; i < 512 * panels * (panels + 1); i++) factor[i] = randomUniform() * 0.1f;
    for (size_t i = 0; i < columns; i++) diagonal[i] = 0.5f + randomUniform() * 0.4f;
    float *decoded[2], *scales[2], *zeros[2];
    double *errors[2];
    size_t bad[2];
    const quern_kernels *both[2] = {c->generic, c->table};
    for (int i = 0; i < 2; i++) {
      decoded[i] = floatsOf(rows * columns), scales[i] = floatsOf(rows * groups), zeros[i] = floatsOf(rows * groups);
      errors[i] = bufferOf(rows * sizeof(double), 0);
      quern_group_feedback arguments = {columns, rows, targets, factor, diagonal, grids[step % 5].group,
                                        grids[step % 5].low, grids[step % 5].high, grids[step % 5].hasZero,
                                        grids[step % 5].scales, decoded[i], scales[i], zeros[i], errors[i],
                                        bufferOf(192 * columns, 0)};
      bad[i] = both[i]->feedback->groups(&arguments);
    }
    sameFloats("values", decoded[0], decoded[1], rows, columns, columns, 1);
    sameFloats("scales", scales[0], scales[1], rows, groups, groups, 0);
    if (grids[step % 5].hasZero) sameFloats("zeros", zeros[0], zeros[1], rows, groups, groups, 0);
    holds("the count of what is not finite", bad[0] == bad[1]);
    releaseBuffers();
  }
  finishFunction();
}

static void checkCholesky(const contest *c) {
  static const size_t sizes[] = {1, 3, 16, 63, 64, 65, 130};
  startFunction(c, "cholesky");
  for (size_t step = 0; step < 7; step++) {
    size_t size = sizes[step];
    startCase("%zu", size);
    double *matrices[2], *values[2];
    const quern_kernels *both[2] = {c->generic, c->table};
    double *start = bufferOf(size * size * sizeof(double), 0);
    for (size_t i = 0; i < size; i++)
      for (size_t j = 0; j < size; j++) start[i * size + j] = i == j ? 2.0 * (double)size : (double)((i * j) % 7) * 0.25;
    for (int i = 0; i < 2; i++) {
      const quern_feedback_table *t = both[i]->feedback;
      matrices[i] = bufferOf(size * size * sizeof(double), 0);
      values[i] = bufferOf(size * 16 * sizeof(double), 0);
      memcpy(matrices[i], start, size * size * sizeof(double));
      for (size_t k = 0; k < size * 16; k++) values[i][k] = (double)(k % 13) - 6;
      for (size_t block = 0; block < size; block += QUERN_CHOLESKY_BLOCK) {
        quern_cholesky arguments = {matrices[i], size, size, block};
        holds("positive definite", t->corner(&arguments));
        if (block + QUERN_CHOLESKY_BLOCK < size)
          t->below(&arguments, block + QUERN_CHOLESKY_BLOCK, size - block - QUERN_CHOLESKY_BLOCK);
      }
      quern_solve solve = {matrices[i], size, size, values[i]};
      t->solve(&solve);
    }
    sameBytes("factor", matrices[0], matrices[1], size * size * sizeof(double));
    sameBytes("solutions", values[0], values[1], size * 16 * sizeof(double));
    releaseBuffers();
  }
  finishFunction();
}

static void checkAttentionGradient(const contest *c) {
  startFunction(c, "attention backward");
  for (size_t step = 0; step < 8; step++) {
    size_t tokens = 1 + step * 5, kvHeads = 1 + step % 2, heads = kvHeads * (1 + step % 3), dim = step % 2 ? 24 : 16;
    startCase("%zu tokens, %zu heads of %zu", tokens, heads, dim);
    float *in[4], *out[2][3];
    size_t size = tokens * heads * dim, sizes[4] = {size, tokens * kvHeads * dim, tokens * kvHeads * dim, size};
    for (int i = 0; i < 4; i++) fillFloats(in[i] = floatsOf(sizes[i]), sizes[i], patternNormal);
    const quern_kernels *both[2] = {c->generic, c->table};
    for (int i = 0; i < 2; i++) {
      for (int j = 0; j < 3; j++) out[i][j] = floatsOf(size);
      quern_attention_backward arguments = {in[0],      in[1],  in[2], in[3],   out[i][0], out[i][1], out[i][2],
                                            tokens,     heads,  kvHeads, dim,   dim,       step % 3 ? 0 : 4, 0.25f};
      for (size_t head = 0; head < heads; head++) both[i]->feedback->attentionBackward(&arguments, head, scratchArea());
    }
    for (int j = 0; j < 3; j++) sameFloats("gradient", out[0][j], out[1][j], 1, size, size, 0);
    releaseBuffers();
  }
  finishFunction();
}

void checkFeedback(const contest *c) {
  for (size_t type = 0; type < 48; type++)
    if (c->generic->feedback->rows[type]) checkFeedbackType(c, type);
  checkFeedbackGroups(c);
  checkCholesky(c);
  checkAttentionGradient(c);
}
