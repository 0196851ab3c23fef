#!/usr/bin/env bash
# Fuzz every reader, one after the other, and print a table: fuzz_all.sh SECONDS [FORMAT …]. The processor's seconds stand
# beside the clock's, because a busy machine gives a fuzzer next to nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift || true
[ $# -gt 0 ] || set -- $(Scripts/fuzz.sh list)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
TIMEFORMAT='%U'
if [ -z "${QUERN_FUZZ_PROGRAM:-}" ]; then
  swift build -c release --package-path Tests/Fuzz --product fuzz > "$log" 2>&1 || { cat "$log" >&2; exit 1; }
  export QUERN_FUZZ_PROGRAM=Tests/Fuzz/.build/release/fuzz
fi
printf '| %-12s | %7s | %9s | %10s | %8s | %8s |\n|---|---|---|---|---|---|\n' format seconds processor executions coverage findings
status=0
for format in "$@"; do
  used=$({ time Scripts/fuzz.sh "$format" "$seconds" > "$log" 2>&1 || true; } 2>&1)
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -n 's/.*DONE *cov: \([0-9]*\).*/\1/p' "$log")
  findings=$(find "Tests/Fuzz/Corpus/$format-findings" -type f | wc -l)
  printf '| %-12s | %7s | %9s | %10s | %8s | %8s |\n' "$format" "$seconds" "$used" "${executions:--}" "${coverage:--}" "$findings"
  [ "$findings" = 0 ] && [ -n "$coverage" ] || { status=1; tail -n 20 "$log" >&2; }
done
exit $status
