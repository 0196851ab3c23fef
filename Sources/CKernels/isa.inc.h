// Everything that is compiled once per instruction set. The including file sets ISA and the target attribute.
#include "include/ckernels.h"
#include "vector.h"

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define MATH_TABLE PASTE(quern_math, ISA)
#define CODEC_TABLE PASTE(quern_codecs, ISA)
#define FEEDBACK_TABLE PASTE(quern_feedback, ISA)

#include "math.inc.h"
#include "codecs.inc.h"
#include "feedback.inc.h"
