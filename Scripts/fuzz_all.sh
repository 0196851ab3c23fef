#!/usr/bin/env bash
# Fuzz every reader, one after the other, and print a table: fuzz_all.sh SECONDS [FORMAT …]. The seconds are the
# processor's: a busy machine gives a fuzzer next to nothing, so each is run again until it has had them.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift || true
[ $# -gt 0 ] || set -- $(Scripts/fuzz.sh list)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
TIMEFORMAT='%U + %S'
if [ -z "${QUERN_FUZZ_PROGRAM:-}" ]; then
  swift build -c release --package-path Tests/Fuzz --product fuzz > "$log" 2>&1 || { cat "$log" >&2; exit 1; }
  export QUERN_FUZZ_PROGRAM=Tests/Fuzz/.build/release/fuzz
fi
printf '| %-12s | %7s | %9s | %10s | %8s | %9s | %8s |\n|---|---|---|---|---|---|---|\n' \
  format seconds processor executions coverage 'slowest s' findings
status=0
for format in "$@"; do
  used=0 executions=0 coverage= slowest=0
  while [ "${used%.*}" -lt "$seconds" ] && [ -z "$(find "Tests/Fuzz/Corpus/$format-findings" -type f 2> /dev/null)" ]; do
    # Loading the corpus is work as well; less than ten seconds would be hardly anything else.
    rest=$((seconds - ${used%.*} > 10 ? seconds - ${used%.*} : 10))
    more=$({ time Scripts/fuzz.sh "$format" "$rest" > "$log" 2>&1 || true; } 2>&1)
    coverage=$(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$log")
    [ -n "$coverage" ] || break
    used=$(awk "BEGIN { print $used + $more }")
    unit=$(sed -n 's/^stat::slowest_unit_time_sec: *//p' "$log")
    slowest=$((unit > slowest ? unit : slowest))
    executions=$((executions + $(sed -n 's/^stat::number_of_executed_units: *//p' "$log")))
  done
  findings=$(find "Tests/Fuzz/Corpus/$format-findings" -type f | wc -l)
  printf '| %-12s | %7s | %9s | %10s | %8s | %9s | %8s |\n' \
    "$format" "$seconds" "$used" "$executions" "${coverage:--}" "$slowest" "$findings"
  [ "$findings" = 0 ] && [ -n "$coverage" ] || { status=1; tail -n 20 "$log" >&2; }
done
exit $status
