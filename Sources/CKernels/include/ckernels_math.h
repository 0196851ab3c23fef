// Products, attention, norms and activations: the math half of a kernel table.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct quern_math_table {
  int reserved;
} quern_math_table;
