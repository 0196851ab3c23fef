#!/usr/bin/env bash
# The main job: look at a model, make it small, say what it needs, prove what was lost, try it.
set -euo pipefail
cd "$(dirname "$0")/.."
quern=.build/release/quern
case "$1" in
  kjv-llama)
    model=Fixtures/models/kjv-llama text=Fixtures/models/kjv-llama/eval.txt context=256 windows=60
    prompt="And the LORD said unto Moses," vram=1GB ;;
  smollm2)
    model=Models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf text=Fixtures/text/wikitext2-part.txt context=512 windows=8
    prompt="The three most important things to pack for a hike are" vram=1GB
    [ -f "$model" ] || { echo "demo: no SmolLM2 here yet; run: make models" >&2; exit 1; } ;;
  *) echo "demo: MODEL is kjv-llama or smollm2, not '$1'" >&2; exit 2 ;;
esac
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

step() { printf '\n\033[1m$ quern %s\033[0m\n' "${*//$out\//}"; "$quern" "$@"; }

step inspect "$model"
step quantize "$model" -o "$out/int8.gguf" --recipe int8
step quantize "$model" -o "$out/int4.gguf" --recipe int4
step memory "$out/int8.gguf" --vram "$vram"
step memory "$out/int4.gguf" --vram "$vram"
step verify "$model" "$out/int8.gguf" --text "$text" --context "$context" --windows "$windows"
step verify "$model" "$out/int4.gguf" --text "$text" --context "$context" --windows "$windows"
step run "$out/int4.gguf" -p "$prompt" -n 60
