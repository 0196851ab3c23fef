#!/usr/bin/env bash
# What the formatter does not see: `unsafe` outside its rooms, Foundation in libraries, long files, machine paths.
set -euo pipefail
status=0
complain() { echo "lint: $1" >&2; status=1; }

while read -r file; do complain "unsafe code outside Bytes, Kernels and the C shims: $file"; done < <(
  grep -lE '\bunsafe\b' -r Sources --include='*.swift' | grep -vE '^Sources/(Bytes|Kernels)/|FormatFiles.swift$|^Sources/quern/System.swift$|^Sources/Codecs/Codec' || true)
while read -r file; do complain "Foundation in a library: $file"; done < <(
  grep -lE '^(public |internal )?import Foundation' -r Sources --include='*.swift' || true)
while read -r count file; do [ "$file" = total ] || complain "$file has $count lines; look for the second idea"; done < <(
  find Sources -name '*.swift' -o -name '*.c' -o -name '*.h' | xargs wc -l | awk '$1 > 500 && $2 != "total" && !index($2, "+Generated")')
exit $status
