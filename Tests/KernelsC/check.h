// Compares every function of a kernel table with the generic one, bit for bit.
//
// A plain C program with few needs, so that it also runs where Swift does not: under an emulator of another processor
// (see check.mk). Inputs are made from integers alone, so they, and the digests printed, are the same on every machine.
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckernels.h"

// One pair of tables under comparison. With table == generic the results are checked against plain double arithmetic.
typedef struct contest {
  const quern_kernels *generic, *table;
} contest;

// The subjects; each calls startFunction … finishFunction once for each entry of the table.
void checkCodecs(const contest *c);
void checkProducts(const contest *c);
void checkRows(const contest *c);
void checkRope(const contest *c);
void checkAttention(const contest *c);
void checkComparison(const contest *c);
void checkFeedback(const contest *c);

// MARK: results. Between start and finish every comparison adds to one line of the report.

void startFunction(const contest *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void finishFunction(void);
// Names the case at hand, for the messages of what fails in it.
void startCase(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Whether the function's results should also be compared with double arithmetic.
int wantsReference(void);

// The second table's result must be the first's, bit for bit; it joins the digest.
void sameBytes(const char *what, const void *generic, const void *table, size_t byteCount);
// The same for [rows][columns] of floats (any NaN equals any other if anyNaN); elements between `columns` and `stride`
// must be as bufferOf left them.
void sameFloats(const char *what, const float *generic, const float *table, size_t rows, size_t columns, size_t stride,
                int anyNaN);
// A float against its double reference.
void nearTo(const char *what, size_t index, double reference, double result, double tolerance);
void holds(const char *what, int condition);
// Functions done and failed so far.
extern size_t functionsPassed, functionsFailed;
// Whether to print the digest after every case, to find where two machines part.
extern int isVerbose;

// MARK: memory. Every buffer has guards on both sides, which releaseBuffers checks.

// 64-byte aligned plus `misalignment`, filled with a pattern that differs from call to call.
void *bufferOf(size_t byteCount, size_t misalignment);
float *floatsOf(size_t count);
// Frees all buffers since the last call.
void releaseBuffers(void);
// QUERN_SCRATCH_BYTES for a task, full of garbage.
void *scratchArea(void);

// MARK: random numbers, a new sequence for each function and case.

void seedRandom(uint64_t seed);
uint64_t randomBits(void);
size_t randomBelow(size_t bound);
float randomUniform(void);  // in [−1, 1)
float randomNormal(void);   // nearly; within ±3.5
// What the elements of an input are like.
typedef enum pattern {
  patternNormal,    // mean 0, deviation 1
  patternSmall,     // normal · 2^-8
  patternOutliers,  // normal, one in 64 a hundred times larger
  patternIntegers,  // −8 … 8, so that ties abound
  patternConstant,  // one value per 32
  patternZeros,     // zeros of both signs, one in 50 something else
  patternTiny,      // subnormal and smallest normal numbers
  patternHuge,      // up to the largest float
  patternSpecials,  // any bits: infinities, NaNs, everything
  patternCount,
} pattern;
extern const char *const patternNames[patternCount];
void fillFloats(float *out, size_t count, pattern kind);
void fillBytes(void *out, size_t count);
float halfToFloat(uint16_t half);
