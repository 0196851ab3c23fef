#!/usr/bin/env bash
# Fuzz one reader with libFuzzer and AddressSanitizer: fuzz.sh FORMAT SECONDS. Seeds are the fixtures; what it finds lies in
# Tests/Fuzz/Corpus/FORMAT-findings: mend the reader, then put the file into Fixtures/findings, which `make test` replays.
set -euo pipefail
cd "$(dirname "$0")/.."
format=${1:?which format} seconds=${2:-60}
declare -A seeds=(
  [gguf]='gguf/good/* gguf/bad/*.gguf' [safetensors]='safetensors/good/* quantized/*/model.safetensors'
  [pytorch]='pytorch/good/*.bin pytorch/bad/*.bin containers/*.pt containers/*.pth' [numpy]='numpy/good/* numpy/bad/*.np?'
  [onnx]='containers/*.onnx hostile/*.onnx' [hdf5]='containers/*.h5 hostile/*.h5' [tensorflow]='containers/*.index hostile/*.index'
  [flax]='containers/*.msgpack hostile/*.msgpack' [mindspore]='containers/*.ckpt hostile/*.ckpt'
  [paddle]='containers/*.pd*params hostile/*.pdparams' [ctranslate2]='containers/ctranslate2.bin hostile/variables.bin'
  [llama2c]='containers/llama2c*.bin' [ggml]='containers/gg*.bin containers/chatglm.bin hostile/vocabulary.bin'
  [words]='containers/word2vec.bin containers/*.txt hostile/rows.bin' [fasttext]='containers/fasttext.bin hostile/dictionary.bin')
[ -n "${seeds[$format]:-}" ] || { echo "fuzz: FORMAT is one of: ${!seeds[*]}" >&2; exit 2; }
swift build -c release --package-path Tests/Fuzz --product fuzz
corpus=Tests/Fuzz/Corpus/$format
mkdir -p "$corpus" "$corpus-findings"
for file in $(cd Fixtures && ls -d ${seeds[$format]} 2> /dev/null); do
  [ -f "Fixtures/$file" ] && [ "$(stat -c %s "Fixtures/$file")" -lt 200000 ] && cp "Fixtures/$file" "$corpus/${file//\//-}"
done
QUERN_FUZZ_FORMAT=$format ASAN_OPTIONS=detect_leaks=0 Tests/Fuzz/.build/release/fuzz "$corpus" \
  -max_total_time="$seconds" -max_len=200000 -timeout=5 -rss_limit_mb=1024 -malloc_limit_mb=300 \
  -artifact_prefix="$corpus-findings/" -print_final_stats=1
