"""Brings Fixtures/manifest.json up to date: every fixture's size and digest, which script made it, and what it proves.

    python update_manifest.py [--check]

Rows come from the folder rules below; a file that no rule covers is an error. With --check nothing is written, and the
exit status tells whether the manifest was up to date.
"""

import hashlib
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MANIFEST = ROOT / "manifest.json"

# Folder or file under Fixtures, generator, what it proves. The longest matching prefix counts.
RULES = [
    ("quality/", "generators/llama_quantize_quality.py",
     "what llama-quantize loses on kjv-llama, to stay below at the same bytes"),
    ("gguf/good/llama-split", "generators/make_gguf_fixtures.py", "parts written by llama-gguf-split are read, and written alike"),
    ("gguf/good/python-split", "generators/make_gguf_fixtures.py", "parts written by gguf-py are read, and written alike"),
    ("gguf/good/", "generators/make_gguf_fixtures.py", "files written by gguf-py are read, and written byte for byte"),
    ("gguf/bad/", "generators/make_gguf_fixtures.py", "each rule of Formats/Specs/gguf.md is enforced, with name and offset"),
    ("safetensors/good/", "generators/make_safetensors_fixtures.py", "files written by the reference implementation are read"),
    ("safetensors/bad/", "generators/make_safetensors_fixtures.py",
     "each rule of Formats/Specs/safetensors.md is enforced, with name and offset"),
    ("pytorch/good/", "generators/make_pytorch_fixtures.py",
     "every way in which torch.save lays tensors out is read, without PyTorch"),
    ("pytorch/bad/", "generators/make_pytorch_fixtures.py",
     "each rule of Formats/Specs/pytorch.md and archives.md is enforced; nothing in a pickle is run"),
    ("numpy/good/", "generators/make_numpy_fixtures.py", "what np.save and np.savez write is read, Fortran order too"),
    ("numpy/bad/", "generators/make_numpy_fixtures.py", "each rule of Formats/Specs/numpy.md is enforced"),
    ("containers/", "generators/make_container_fixtures.py", "every container is read as its own library reads it"),
    ("containers/latest.h5", "generators/make_expanded_fixtures.py", "every index of chunks and large groups of HDF5 are read"),
    ("containers/v110.h5", "generators/make_expanded_fixtures.py", "every index of chunks and large groups of HDF5 are read"),
    ("containers/early.h5", "generators/make_expanded_fixtures.py", "fill values, LZF and many links of HDF5 are read"),
    ("containers/implicit.h5", "generators/make_expanded_fixtures.py", "chunks without an index are read"),
    ("containers/deflated.npz", "generators/make_expanded_fixtures.py", "compressed arrays are expanded as they are read"),
    ("containers/frames.npz.zst", "generators/make_expanded_fixtures.py", "frames of every kind are read to and fro"),
    ("containers/snappy.", "generators/make_expanded_fixtures.py", "compressed blocks of TensorFlow's index are read"),
    ("containers/keras", "generators/make_keras_fixtures.py", "what Keras 3 saves is read as h5py reads it"),
    ("containers/archive.keras", "generators/make_keras_fixtures.py", "what Keras 3 saves is read as h5py reads it"),
    ("containers/flax-real", "generators/make_keras_fixtures.py", "what Flax saves is read"),
    ("containers/big-endian", "generators/make_expanded_fixtures.py", "numbers of the other byte order are read"),
    ("containers/tf-", "generators/make_framework_fixtures.py", "what TensorFlow saves is read as it reads it"),
    ("containers/paddle-", "generators/make_framework_fixtures.py", "what Paddle saves is read as it reads it"),
    ("containers/mindspore-own", "generators/make_framework_fixtures.py", "what MindSpore saves is read as it reads it"),
    ("containers/ggjt-v1-", "generators/make_ggml_fixtures.py", "what llama.cpp quantized before GGUF is decoded as it decoded it"),
    ("containers/ggjt-v2-", "generators/make_ggml_fixtures.py", "what llama.cpp quantized before GGUF is decoded as it decoded it"),
    ("ggjt3/", "generators/make_ggml_fixtures.py", "what llama.cpp quantized before GGUF is decoded as it decoded it"),
    ("quantized/gptq-real-", "generators/make_gptq_fixtures.py",
     "weights that AutoGPTQ and GPTQModel packed are decoded as they decode them"),
    ("sparse/", "generators/make_sparse_fixtures.py", "checkpoints of a hundred gigabytes are listed at once"),
    ("findings/", "", "what fuzzing found is refused or read"),
    ("corpus/", "", "the inputs by which fuzzing reached furthest are refused or read"),
    ("real/", "generators/real_model_answers.py", "what independent readers find in real weight files"),
    ("hostile/", "generators/make_hostile_fixtures.py", "files that lie are refused with the reason, in little time and memory"),
    ("quantized/", "generators/make_quantized_fixtures.py", "weights quantized by GPU libraries are decoded as they decode them"),
    ("quantized/mlx-real-", "generators/make_mlx_fixtures.py", "weights that MLX quantized are decoded as it decodes them"),
    ("tokenizers/", "generators/tokenizer_fixtures.py", "text becomes the same tokens as in the tokenizers package"),
    ("vectors/codecs/", "generators/make_codec_vectors.py", "codecs decode and encode as ggml does"),
    ("vectors/codecs/llama-quantize-errors.json", "generators/make_codec_errors.py",
     "codecs lose no more than llama-quantize"),
    ("footprint/llama-fit-params.json", "generators/llama_fit_oracle.py", "memory forecasts agree with llama.cpp's allocator"),
    ("conformance/", "", "outputs agree with those that transformers computes"),
    ("conformance/llama-yarn-biases/", "generators/make_llama_conformance.py", "yarn, biases and explicit head_dim as transformers has them"),
    ("conformance/llama-linear-tied/", "generators/make_llama_conformance.py", "linear scaling, one key head and old keys as transformers has them"),
    ("conformance/mistral-window-headdim/", "generators/make_llama_conformance.py", "a window shorter than the text as transformers has it"),
    ("conformance/v-", "generators/make_family_conformance.py", "an option of its family computes what it does in transformers"),
    ("conformance/v-chatglm-", "generators/family_references.py", "ChatGLM-6B computes what its published modelling code does"),
    ("conformance/v-qwen-", "generators/family_references.py", "the first Qwen computes what its published modelling code does"),
    ("generation/", "generators/make_generation_fixtures.py", "encoder–decoders answer with the tokens that transformers generates"),
    ("llama/", "../Tests/Peers/check_llama.py", "our runtime computes what llama.cpp does of the same GGUF files"),
    ("real/rxnmapper.json", "generators/rxnmapper_answers.py", "masked tokens are those that transformers finds"),
    ("conformance/v-pangu", "generators/family_references.py", "PanGu-α computes what its published modelling code does"),
    ("configurations/released.json", "", "config.json of released models (lists of LongRoPE made up) are read, with their parameter counts"),
    ("rope/rotary.json", "generators/make_llama_conformance.py", "rotary frequencies are those of transformers"),
    ("models/kjv-llama/", "models/kjv-llama/train.py", "a really trained small model for quality measurements"),
    ("tokenizers/", "generators/tokenizer_fixtures.py", "tokenizers agree with the tokenizers package"),
    ("recipes/llama-quantize.json", "generators/llama_quantize_types.py", "recipes choose the types that llama-quantize chooses"),
    ("importance/", "generators/make_importance_fixtures.sh", "imatrix files by llama-imatrix are read, and written byte for byte"),
    ("text/wikitext2-part.txt", "", "text for perplexity, from WikiText-2"),
]


def row(path):
    name = path.relative_to(ROOT).as_posix()
    matching = [rule for rule in RULES if name.startswith(rule[0])]
    if not matching:
        sys.exit(f"{name}: no row of RULES covers it")
    _, generator, proves = max(matching, key=lambda rule: len(rule[0]))
    data = path.read_bytes()
    return {
        "path": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "generator": generator, "proves": proves,
    }


def main():
    files = sorted(path for path in ROOT.rglob("*") if path.is_file())
    rows = [row(path) for path in files if path != MANIFEST and path.parent.name != "generators"]
    text = "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    if "--check" in sys.argv:
        if not MANIFEST.exists() or MANIFEST.read_text() != text:
            sys.exit("Fixtures/manifest.json is out of date: run Fixtures/generators/update_manifest.py")
        return
    MANIFEST.write_text(text)


main()
