#!/usr/bin/env bash
# Check what the build (with --tests: the tests) needs and install what apt can. Says what is missing if it cannot.
set -euo pipefail

command -v swift > /dev/null || {
  echo "setup: no 'swift' on PATH. Install a Swift 6.3 toolchain from swift.org and open a new shell." >&2
  exit 1
}
version=$(swift --version 2>&1 | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
if [ "$(printf '%s\n6.2\n' "$version" | sort -V | head -n 1)" != 6.2 ]; then
  echo "setup: Swift $version is too old; Quern needs 6.2 or later (made with 6.3)." >&2
  exit 1
fi

# A package is missing when the file it provides is.
missing=()
[ -e /usr/include/zstd.h ] || missing+=(libzstd-dev)
command -v pkg-config > /dev/null || missing+=(pkg-config)
# Only the tests look at pages.
if [ "${1:-}" = --tests ]; then
  command -v chromium > /dev/null || command -v google-chrome > /dev/null || missing+=(chromium)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get > /dev/null; then
  echo "setup: please install ${missing[*]} (no apt-get here to do it with)." >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo > /dev/null || {
    echo "setup: please install ${missing[*]} (neither root nor sudo here): apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "setup: installing ${missing[*]}"
log=$(mktemp)
if ! { "${as_root[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"; } > "$log" 2>&1; then
  cat "$log" >&2
  echo "setup: apt-get could not install ${missing[*]}; install them by hand and run this again." >&2
  exit 1
fi
rm -f "$log"
