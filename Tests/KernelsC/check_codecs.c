// Block encoders and decoders: the same bytes and floats from every table, for good, odd and damaged input.
#include <math.h>

#include "check.h"

static const char *typeName(size_t type) {
  static const char *const names[QUERN_CODEC_ROWS] = {
      "f32",     "f16",    "q4_0",    "q4_1",    "4",     "5",      "q5_0", "q5_1",    "q8_0",   "q8_1", "q2_k",
      "q3_k",    "q4_k",   "q5_k",    "q6_k",    "q8_k",  "iq2_xxs", "iq2_xs", "iq3_xxs", "iq1_s", "iq4_nl", "iq3_s",
      "iq2_s",   "iq4_xs", "i8",      "i16",     "i32",   "i64",    "f64",  "iq1_m",   "bf16",   "31",   "32",
      "33",      "tq1_0",  "tq2_0",   "36",      "37",    "38",     "mxfp4", "nvfp4", "q1_0", "q2_0",
      [QUERN_TYPE_F8_E4M3] = "f8_e4m3", [QUERN_TYPE_F8_E5M2] = "f8_e5m2", [QUERN_TYPE_U8] = "u8",
      [QUERN_TYPE_U16] = "u16", [QUERN_TYPE_U32] = "u32", [QUERN_TYPE_U64] = "u64", [QUERN_TYPE_BOOL] = "bool",
  };
  static char number[24];
  if (names[type]) return names[type];
  snprintf(number, sizeof number, "%zu", type);
  return number;
}

// Ragged numbers of blocks: around the sixteen that go together, fewer of the long ones.
static const size_t blockCounts[] = {1, 2, 3, 7, 15, 16, 17, 31, 33, 50};

// Unlike the counts in every case of the other subjects, single elements also come in the hundreds.
static size_t elementCount(const quern_codec *codec, size_t step) {
  size_t blocks = blockCounts[step % 10];
  return codec->elements_per_block == 1 ? blocks + step / 10 * 255 : blocks * codec->elements_per_block;
}

static void checkDecode(const contest *c, size_t type) {
  const quern_codec *codec = &c->table->codecs->rows[type];
  startFunction(c, "decode %s", typeName(type));
  size_t steps = codec->elements_per_block == 1 ? 30 : codec->elements_per_block <= 64 ? 10 : 8;
  for (size_t step = 0; step < steps; step++) {
    size_t count = elementCount(codec, step), byteCount = count / codec->elements_per_block * codec->bytes_per_block;
    startCase("random bytes, %zu elements", count);
    uint8_t *blocks = bufferOf(byteCount, step % 4);
    float *generic = floatsOf(count), *table = floatsOf(count);
    fillBytes(blocks, byteCount);
    c->generic->codecs->rows[type].decode(blocks, generic, count);
    codec->decode(blocks, table, count);
    // A damaged block's scale may be infinite or NaN; of a single number every bit counts.
    sameFloats("floats", generic, table, 1, count, count, codec->elements_per_block > 1);
    releaseBuffers();
  }
  finishFunction();
}

typedef enum weighting { noWeights, randomWeights, someZeroWeights, weightingCount } weighting;

static void checkEncoding(const contest *c, size_t type, size_t count, pattern kind, weighting weights, size_t step) {
  static const char *const weightNames[] = {"no weights", "random weights", "some weights zero"};
  const quern_codec *codec = &c->table->codecs->rows[type];
  size_t blockLength = codec->elements_per_block, byteCount = count / blockLength * codec->bytes_per_block;
  size_t period = blockLength == 1 ? count : count / blockLength % 2 ? count : count / 2;
  startCase("%s, %zu elements, %s", patternNames[kind], count, weightNames[weights]);
  float *in = floatsOf(count), *importance = weights ? floatsOf(period) : NULL;
  uint8_t *generic = bufferOf(byteCount, step % 4), *table = bufferOf(byteCount, (step + 1) % 4);
  fillFloats(in, count, kind);
  for (size_t i = 0; importance && i < period; i++) {
    float w = randomUniform();
    importance[i] = weights == someZeroWeights && w < 0 ? 0 : w * w;
  }
  double errors[2] = {-1, -2};
  int isUnbiased = (step + step / patternCount) % 2 == 1;
  size_t odd = c->generic->codecs->rows[type].encode(in, count, importance, period, isUnbiased, generic, &errors[0]);
  size_t oddHere = codec->encode(in, count, importance, period, isUnbiased, table, &errors[1]);
  sameBytes("blocks", generic, table, byteCount);
  sameBytes("squared error", &errors[0], &errors[1], sizeof(double));
  holds("as many elements that are not finite", odd == oddHere);

  float *decoded = floatsOf(count), *decodedHere = floatsOf(count);
  c->generic->codecs->rows[type].decode(generic, decoded, count);
  codec->decode(table, decodedHere, count);
  sameFloats("decoded again", decoded, decodedHere, 1, count, count, 0);
  if (wantsReference()) {
    double sum = 0, energy = 0;
    size_t notFinite = 0;
    for (size_t i = 0; i < count; i++) {
      if (!isfinite(in[i])) {
        notFinite++;
        continue;
      }
      double error = (double)in[i] - (double)decoded[i];
      sum += error * error;
      energy += (double)in[i] * (double)in[i];
    }
    holds("every element that is not finite is counted", notFinite == odd);
    if (kind != patternSpecials && kind != patternHuge) {
      nearTo("squared error", 0, sum, errors[0], 1e-5 * sum + 1e-12 * energy + 1e-38 * (double)count);
      holds("the error is below the energy", sum <= energy);
    }
  }
  releaseBuffers();
}

static void checkEncode(const contest *c, size_t type) {
  size_t blockLength = c->table->codecs->rows[type].elements_per_block;
  startFunction(c, "encode %s", typeName(type));
  // Every pattern with every weighting; the number of blocks changes along.
  size_t steps = patternCount * weightingCount;
  for (size_t step = 0; step < steps; step++) {
    size_t count = elementCount(&c->table->codecs->rows[type], blockLength > 64 ? step % 7 : step);
    checkEncoding(c, type, count, (pattern)(step % patternCount), (weighting)(step / patternCount), step);
  }
  finishFunction();
}

void checkCodecs(const contest *c) {
  for (size_t type = 0; type < QUERN_CODEC_ROWS; type++) {
    const quern_codec *codec = &c->table->codecs->rows[type], *generic = &c->generic->codecs->rows[type];
    if (!codec->decode && !generic->decode) continue;
    if (!codec->decode != !generic->decode || !codec->encode != !generic->encode ||
        codec->elements_per_block != generic->elements_per_block ||
        codec->bytes_per_block != generic->bytes_per_block) {
      startFunction(c, "row %s", typeName(type));
      holds("the tables have the same rows", 0);
      finishFunction();
      continue;
    }
    checkDecode(c, type);
    if (codec->encode) checkEncode(c, type);
  }
}
