#!/usr/bin/env bash
# Fuzz one reader with libFuzzer and AddressSanitizer: fuzz.sh FORMAT SECONDS. Seeds are fixtures. What it finds lies in
# Tests/Fuzz/Corpus/FORMAT-findings: mend the reader, then put the file into Fixtures/findings/FORMAT, which `make test`
# reads again. QUERN_FUZZ_PROGRAM names one that was built before.
set -euo pipefail
cd "$(dirname "$0")/.."
format=${1:?which format} seconds=${2:-60}
declare -A seeds=(
  [gguf]='gguf/good/* gguf/bad/*.gguf importance/*.gguf' [safetensors]='safetensors/good/* safetensors/bad/*.safetensors'
  [quantized]='quantized/*/model.safetensors' [importance]='importance/*'
  [pytorch]='pytorch/good/*.bin pytorch/bad/*.bin containers/*.pt containers/*.pth hostile/*.pt'
  [numpy]='numpy/good/* numpy/bad/*.np? containers/*.npz' [onnx]='containers/*.onnx hostile/*.onnx'
  [hdf5]='containers/*.h5 hostile/*.h5' [tensorflow]='containers/*.index hostile/*.index'
  [flax]='containers/*.msgpack hostile/*.msgpack' [mindspore]='containers/*.ckpt hostile/*.ckpt'
  [paddle]='containers/*.pd*params hostile/*.pdparams' [ctranslate2]='containers/ctranslate2.bin hostile/variables.bin'
  [llama2c]='containers/llama2c*.bin' [ggml]='containers/gg*.bin ggjt3/*.bin containers/chatglm.bin hostile/vocabulary.bin'
  [words]='containers/word2vec.bin containers/*.txt hostile/rows.bin'
  [fasttext]='containers/fasttext*.bin hostile/dictionary.bin' [zstd]='containers/*.zst hostile/*.zst'
  [json]='tokenizers/bert/*.json quantized/*/config.json conformance/*/config.json'
  [tokenizer]='tokenizers/*/tokenizer.json')
[ "$format" != list ] || { printf '%s\n' "${!seeds[@]}" | sort; exit; }
[ -n "${seeds[$format]:-}" ] || { echo "fuzz: FORMAT is one of: ${!seeds[*]}" >&2; exit 2; }
[ -n "${QUERN_FUZZ_PROGRAM:-}" ] || swift build -c release --package-path Tests/Fuzz --product fuzz
corpus=Tests/Fuzz/Corpus/$format
timeout=${QUERN_FUZZ_TIMEOUT:-5}
# In memory: on a disk every run would wait for the file system's journal.
beside=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")/quern-fuzz-XXXXXX")
trap 'rm -rf "$beside"' EXIT
mkdir -p "$corpus" "$corpus-findings"
for file in $(cd Fixtures && ls -d ${seeds[$format]} corpus/"$format"/* findings/"$format"/* 2> /dev/null); do
  [ -f "Fixtures/$file" ] && [ "$(stat -c %s "Fixtures/$file")" -lt 200000 ] || continue
  name=$corpus/${file//\//-}
  if [ "$format" = quantized ] && [ "${file##*/}" = model.safetensors ]; then
    { cat "Fixtures/${file%/*}/config.json"; printf '\0'; cat "Fixtures/$file"; } > "$name"
  else
    cp "Fixtures/$file" "$name"
  fi
done
# What some formats look for beside their file, input.index.
for shard in 00000-of-00001 00000-of-00002 00001-of-00002; do head -c 65536 /dev/zero > "$beside/input.data-$shard"; done
cp Fixtures/containers/lod.pdmodel "$beside/input.pdmodel"
cp Fixtures/containers/external.bin "$beside/external.bin"
QUERN_FUZZ_FOLDER=$beside QUERN_FUZZ_FORMAT=$format ASAN_OPTIONS=detect_leaks=0 ${QUERN_FUZZ_PROGRAM:-Tests/Fuzz/.build/release/fuzz} "$corpus" \
  -max_total_time="$seconds" -max_len=200000 -timeout="$timeout" -report_slow_units="$timeout" -rss_limit_mb=1024 \
  -malloc_limit_mb=300 \
  -artifact_prefix="$corpus-findings/" -print_final_stats=1
