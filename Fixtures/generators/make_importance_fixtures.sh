#!/usr/bin/env bash
# Fixtures/importance: channel importances of kjv-llama by llama-imatrix, in both kinds of files.
# usage: make_importance_fixtures.sh LLAMA_IMATRIX F16.gguf     (the F16 model: quern convert models/kjv-llama --dtype f16)
set -euo pipefail
program=$(realpath "$1"); model=$(realpath "$2"); fixtures=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$fixtures/importance"
cd "$fixtures/models/kjv-llama"  # the text's name goes into the files
for kind in gguf dat; do
  "$program" -m "$model" -f calib.txt -o "$fixtures/importance/kjv.$kind" --output-format $kind -c 256 -b 256 --chunks 4 -t 1 --no-ppl
done
