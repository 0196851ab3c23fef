// The runner's tools: results, guarded memory, random numbers.
#include <math.h>

#include "check.h"

// With the address sanitizer the buffers have no guards of their own: it also sees what is only read.
#if __has_feature(address_sanitizer)
enum { guardBytes = 0 };
#else
enum { guardBytes = 256 };
#endif
enum { buffersAtMost = 64 };
static struct { uint8_t *memory, *start; size_t byteCount; uint32_t fill; } buffers[buffersAtMost];
static size_t bufferCount;
static uint32_t nextFill;

static uint32_t fillOf(const void *start) {
  for (size_t i = 0; i < bufferCount; i++)
    if (buffers[i].start == start) return buffers[i].fill;
  return 0;
}

// MARK: results

size_t functionsPassed, functionsFailed;
int isVerbose;

enum { messagesAtMost = 5 };  // for each function

static struct {
  const char *table;
  char function[64], caseName[160];
  size_t cases, comparisons, failures;
  uint64_t digest;
  int wantsReference;
} current;

static uint64_t mixed(uint64_t digest, uint64_t word) {
  digest = (digest ^ word) * 0x9e3779b97f4a7c15u;
  return digest ^ digest >> 32;
}

void startFunction(const contest *c, const char *format, ...) {
  memset(&current, 0, sizeof current);
  current.table = c->table->name;
  current.wantsReference = c->table == c->generic;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(current.function, sizeof current.function, format, arguments);
  va_end(arguments);
  uint64_t seed = 0;
  for (const char *p = current.function; *p; p++) seed = mixed(seed, (uint8_t)*p);
  seedRandom(seed);
}

void startCase(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (isVerbose && current.cases) printf("  after case %s: %016llx\n", current.caseName, (unsigned long long)current.digest);
  vsnprintf(current.caseName, sizeof current.caseName, format, arguments);
  va_end(arguments);
  current.cases++;
}

int wantsReference(void) { return current.wantsReference; }

static int failed(void) {
  if (current.failures++ >= messagesAtMost) return 0;
  printf("  %s %s [%s]: ", current.table, current.function, current.caseName);
  return 1;
}

void finishFunction(void) {
  releaseBuffers();
  if (!current.comparisons) holds("anything compared", 0);
  if (current.failures) functionsFailed++;
  else functionsPassed++;
  printf("%-8s %-28s %4zu cases %8zu values  %016llx  %s\n", current.table, current.function, current.cases,
         current.comparisons, (unsigned long long)current.digest, current.failures ? "FAILED" : "ok");
  if (current.failures > messagesAtMost) printf("  … %zu failures in all\n", current.failures);
  fflush(stdout);
}

void sameBytes(const char *what, const void *generic, const void *table, size_t byteCount) {
  const uint8_t *a = generic, *b = table;
  uint64_t word = 0;
  size_t different = 0, first = 0;
  for (size_t i = 0; i < byteCount; i++) {
    if (a[i] != b[i] && !different++) first = i;
    word = word << 8 | b[i];
    if (i % 8 == 7) current.digest = mixed(current.digest, word), word = 0;
  }
  current.digest = mixed(current.digest, word);
  current.comparisons += byteCount;
  if (different && failed())
    printf("%s: %zu of %zu bytes differ, first at %zu: generic %02x, here %02x\n", what, different, byteCount, first,
           a[first], b[first]);
}

void sameFloats(const char *what, const float *generic, const float *table, size_t rows, size_t columns, size_t stride,
                int anyNaN) {
  size_t different = 0, firstRow = 0, firstColumn = 0, gaps = 0;
  uint32_t fill = fillOf(table);
  for (size_t r = 0; r < rows; r++)
    for (size_t k = 0; k < stride; k++) {
      uint32_t a, b;
      memcpy(&a, generic + r * stride + k, 4);
      memcpy(&b, table + r * stride + k, 4);
      if (k >= columns) {
        if (r + 1 < rows) gaps += b != fill;
        continue;
      }
      int bothNaN = (a & 0x7fffffff) > 0x7f800000 && (b & 0x7fffffff) > 0x7f800000;
      if (anyNaN && bothNaN) a = b = 0x7fc00000;
      if (a != b && !different++) firstRow = r, firstColumn = k;
      current.digest = mixed(current.digest, b);
    }
  current.comparisons += rows * columns;
  if (different && failed()) {
    float a = generic[firstRow * stride + firstColumn], b = table[firstRow * stride + firstColumn];
    printf("%s: %zu of %zu floats differ, first at [%zu][%zu]: generic %a, here %a\n", what, different, rows * columns,
           firstRow, firstColumn, (double)a, (double)b);
  }
  if (gaps && failed()) printf("%s: %zu floats between the rows were written\n", what, gaps);
}

void nearTo(const char *what, size_t index, double reference, double result, double tolerance) {
  current.comparisons++;
  if (fabs(reference - result) <= tolerance || (isnan(reference) && isnan(result)) || reference == result) return;
  if (failed())
    printf("%s: element %zu is %.9g, should be %.9g ± %.3g\n", what, index, result, reference, tolerance);
}

void holds(const char *what, int condition) {
  current.comparisons++;
  if (!condition && failed()) printf("not so: %s\n", what);
}

// MARK: memory

static uint8_t fillByte(uint32_t fill, const uint8_t *start, const uint8_t *at) {
  return (uint8_t)(fill >> ((at - start) & 3) * 8);
}

void *bufferOf(size_t byteCount, size_t misalignment) {
  if (bufferCount == buffersAtMost) puts("too many buffers"), exit(2);
  void *memory;
  if (posix_memalign(&memory, 64, byteCount + misalignment + 2 * guardBytes)) puts("out of memory"), exit(2);
  uint8_t *start = (uint8_t *)memory + guardBytes + misalignment;
  uint32_t fill = 0x4b7a0000 + ++nextFill % 0x8000;  // some sixteen million: no result looks like it
  uint8_t *at = start - guardBytes, *end = start + byteCount + guardBytes;
  for (; at + 4 <= end; at += 4) memcpy(at, &fill, 4);
  for (; at < end; at++) *at = fillByte(fill, start, at);
  buffers[bufferCount].memory = memory;
  buffers[bufferCount].start = start;
  buffers[bufferCount].byteCount = byteCount;
  buffers[bufferCount++].fill = fill;
  return start;
}

// Off by one float, as the rows of most matrices are.
float *floatsOf(size_t count) { return bufferOf(count * sizeof(float), 4); }

void releaseBuffers(void) {
  while (bufferCount) {
    const uint8_t *start = buffers[--bufferCount].start, *end = start + buffers[bufferCount].byteCount;
    size_t before = 0, after = 0;
    for (size_t i = 1; i <= guardBytes; i++) {
      before += start[-(ptrdiff_t)i] != fillByte(buffers[bufferCount].fill, start, start - i);
      after += end[i - 1] != fillByte(buffers[bufferCount].fill, start, end + i - 1);
    }
    if (before + after && failed())
      printf("%zu bytes before and %zu after a buffer of %zu were written\n", before, after,
             buffers[bufferCount].byteCount);
    free(buffers[bufferCount].memory);
  }
}

void *scratchArea(void) {
  static _Alignas(64) uint8_t area[QUERN_SCRATCH_BYTES];
  static int used;
  if (!used++) memset(area, 0xff, sizeof area);  // as floats, NaN
  return area;
}

// MARK: random numbers

static uint64_t state;

void seedRandom(uint64_t seed) { state = seed; }
uint64_t randomBits(void) {  // splitmix64
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}
size_t randomBelow(size_t bound) { return (size_t)(randomBits() >> 32) * bound >> 32; }
float randomUniform(void) { return (float)((int32_t)(randomBits() >> 40) - (1 << 23)) * 0x1p-23f; }
// The sum of four 16-bit numbers, exact in float, with deviation 1 but for the scale's rounding.
float randomNormal(void) {
  uint64_t bits = randomBits();
  int32_t sum = (int32_t)(bits & 0xffff) + (int32_t)(bits >> 16 & 0xffff) + (int32_t)(bits >> 32 & 0xffff) +
                (int32_t)(bits >> 48);
  return (float)(sum - 0x20000) * 0x1.bb67aep-16f;
}

const char *const patternNames[patternCount] = {"normal", "small", "outliers", "integers", "constant",
                                                "zeros",  "tiny",  "huge",     "specials"};

static float fromBits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

void fillFloats(float *out, size_t count, pattern kind) {
  static const uint32_t specials[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000,
                                      0x00000001, 0x807fffff, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf800000};
  float constant = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = (uint32_t)randomBits();
    if (i % 32 == 0) constant = randomNormal();
    switch (kind) {
      case patternNormal: out[i] = randomNormal(); break;
      case patternSmall: out[i] = randomNormal() * 0x1p-8f; break;
      case patternOutliers: out[i] = randomNormal() * (bits % 64 ? 1 : 100); break;
      case patternIntegers: out[i] = (float)((int)(bits % 17) - 8); break;
      case patternConstant: out[i] = constant; break;
      case patternZeros: out[i] = bits % 50 ? (bits & 0x80000000 ? -0.0f : 0.0f) : randomNormal(); break;
      case patternTiny: out[i] = fromBits(bits & 0x80ffffff); break;
      case patternHuge: out[i] = fromBits((bits & 0x807fffff) | (0xf0 + bits % 15) << 23); break;
      default: out[i] = fromBits(bits & 0x40 ? specials[bits % 12] : (uint32_t)randomBits()); break;
    }
  }
}

void fillBytes(void *out, size_t count) {
  for (uint8_t *p = out; count--;) *p++ = (uint8_t)(randomBits() >> 56);
}

float halfToFloat(uint16_t half) {
  int exponent = half >> 10 & 31, mantissa = half & 1023;
  float sign = half & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa ? NAN : sign * INFINITY;
  return sign * (exponent ? ldexpf((float)(mantissa + 1024), exponent - 25) : ldexpf((float)mantissa, -24));
}
