// check [--table NAME]…: compares the named kernel tables, or all that this processor runs, with the generic one.
// check --has NAME: succeeds if this processor runs the table.
//
// One line for each function: table, function, cases, values compared, digest of the results, verdict. The exit status
// is 1 if anything failed. --verbose NAME is --table NAME with the digest after every case, to find where two machines
// part.
#include "check.h"

_Static_assert(sizeof(quern_math_table) == 23 * sizeof(void *), "the table has a new entry: check it, then count it here");

static void checkTable(const contest *c) {
  checkCodecs(c);
  checkProducts(c);
  checkRows(c);
  checkRope(c);
  checkAttention(c);
  checkComparison(c);
  checkFeedback(c);
}

static int isNamed(const quern_kernels *table, const char *option, int argumentCount, char **arguments) {
  for (int a = 1; a + 1 < argumentCount; a += 2)
    if (!strcmp(arguments[a], option) && !strcmp(arguments[a + 1], table->name)) return 1;
  return 0;
}

int main(int argumentCount, char **arguments) {
  const quern_kernels *const *tables;
  size_t tableCount = quern_kernels_all(&tables), done = 0;
  for (size_t i = tableCount; i-- > 0;) {  // generic first
    const quern_kernels *table = tables[i];
    int supported = quern_kernels_supported(table);
    if (isNamed(table, "--has", argumentCount, arguments)) return !supported;
    isVerbose = isNamed(table, "--verbose", argumentCount, arguments);
    int named = isVerbose || isNamed(table, "--table", argumentCount, arguments);
    if (argumentCount > 1 && !named) continue;
    if (!supported) {
      printf("%s: not run, this processor lacks %s\n", table->name, table->features);
      functionsFailed += (size_t)named;
      continue;
    }
    checkTable(&(contest){tables[tableCount - 1], table});
    done++;
  }
  if (!done) puts("no such table"), functionsFailed++;
  printf("%zu passed, %zu failed\n", functionsPassed, functionsFailed);
  fflush(stdout);
  return functionsFailed != 0;
}
