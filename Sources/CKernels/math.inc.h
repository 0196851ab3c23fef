// The math half of the table: one file per operator family.
#include "half.inc.h"
#include "transcendental.inc.h"
#include "rows.inc.h"
#include "products.inc.h"
#include "attention.inc.h"
#include "compare.inc.h"

static const quern_math_table MATH_TABLE = {
    .tile = TILE,
    .int8Tile = INT8_TILE,
    .prepareFloats = prepare_floats,
    .prepareInt8 = prepare_int8,
    .multiply = multiply,
    .append = append,
    .attention = attention,
    .rmsNorm = rms_norm,
    .layerNorm = layer_norm,
    .softmax = softmax,
    .unary = unary,
    .gate = gate,
    .add = add,
    .multiplyRows = multiply_rows,
    .scale = scale,
    .softcap = softcap,
    .addBias = add_bias,
    .gather = gather,
    .scatterAdd = scatter_add,
    .rope = rope,
    .compare = compare,
    .squaredSum = squared_sum,
    .exponentials = exponentials,
};
