"""Converts the conformance cases of families that llama.cpp knows to GGUF and has llama.cpp run them.

    make peers
    .peers/venv/bin/python Tests/Peers/check_llama.py QUERN [--stored | --record] [CASE…]

For every case: whether the file loads, the largest difference of the logits (or hidden states) from what transformers
computes in units of its standard deviation, and how many of the most likely tokens are the same. llama.cpp multiplies
F16 and BF16 weights with rounded inputs, so the files are written in F32; with --stored in the types of the checkpoint.
Ends with ChatGLM2 in two shards as int4: the tokens that llama.cpp generates beside ours. Not part of `make test`, which
compares our runtime with what --record stores in Fixtures/llama/answers.json: for every case the most likely token of
each position (or the largest element) and the last position's first values, or that llama.cpp refuses the file.
"""

import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy
from safetensors.numpy import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = ROOT / "Fixtures" / "conformance"
PEERS = ROOT / ".peers"
DTYPE = [] if "--stored" in sys.argv else ["--dtype", "f32"]


def program(scratch):
    source = PEERS / "src" / "vendor" / "llama.cpp"
    target = scratch / "llama_outputs"
    subprocess.run(
        ["c++", "-std=c++17", "-O1", ROOT / "Tests/Peers/llama_outputs.cpp", "-o", target, f"-I{source}/include",
         f"-I{source}/ggml/include", f"-L{PEERS}/bin", f"-Wl,-rpath,{PEERS}/bin", "-lllama", "-lggml", "-lggml-base"],
        check=True)
    return target


def texts(golden):
    rows = [" ".join(map(str, row)) for row in golden["input_ids"].tolist()]
    if "decoder_input_ids" in golden:
        rows = [f"{row} | {' '.join(map(str, more))}" for row, more in zip(rows, golden["decoder_input_ids"].tolist())]
    return "\n".join(rows) + "\n"


def masked_head(states, folder):
    """The logits of BERT's and RoBERTa's heads over llama.cpp's hidden states: it drops those heads."""
    tensors = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())

    def find(*names):
        return next(tensors[name].astype(numpy.float64) for name in names if name in tensors)

    x = states @ find("cls.predictions.transform.dense.weight", "lm_head.dense.weight").T
    x += find("cls.predictions.transform.dense.bias", "lm_head.dense.bias")
    x = x * 0.5 * (1 + numpy.vectorize(math.erf)(x / math.sqrt(2)))
    x = (x - x.mean(-1, keepdims=True)) / numpy.sqrt(x.var(-1, keepdims=True) + config.get("layer_norm_eps", 1e-12))
    x = x * find("cls.predictions.transform.LayerNorm.weight", "lm_head.layer_norm.weight")
    x += find("cls.predictions.transform.LayerNorm.bias", "lm_head.layer_norm.bias")
    output = find(
        "cls.predictions.decoder.weight", "lm_head.decoder.weight", "bert.embeddings.word_embeddings.weight",
        "roberta.embeddings.word_embeddings.weight")
    return x @ output.T + find("cls.predictions.decoder.bias", "cls.predictions.bias", "lm_head.bias")


def check(name, kind, quern, runner, scratch, answers):
    golden = load_file(CASES / name / "golden.safetensors")
    model, ids, out = scratch / "model.gguf", scratch / "ids.txt", scratch / "out.bin"
    for path in (model, out):
        path.unlink(missing_ok=True)
    made = subprocess.run(
        [quern, "convert", CASES / name, "-o", model, "--to", "gguf"] + DTYPE, capture_output=True, text=True)
    if made.returncode:
        return "not written: " + made.stderr.strip().splitlines()[-1].split("quern: ")[-1]
    ids.write_text(texts(golden))
    ran = subprocess.run([runner, model, ids, out], capture_output=True, text=True)
    if ran.returncode:
        answers.append({"case": name, "refused": True})
        wrong = [line for line in ran.stderr.splitlines() if "error" in line or "assert" in line.lower()]
        return "llama.cpp: " + (wrong or ran.stderr.strip().splitlines() or [f"status {ran.returncode}"])[0][:200]
    found = numpy.fromfile(out, dtype=numpy.float32)
    steps = golden.get("decoder_input_ids", golden["input_ids"]).size
    rows = found.reshape(steps, -1)
    answer = {"case": name, "agrees": False, "tops": rows.argmax(-1).tolist(), "last": [float(f"{x:.5g}") for x in rows[-1, :16]]}
    want = golden.get("last_hidden_state", golden.get("logits"))
    if kind in ("bert", "roberta", "xlm-roberta") and "logits" in golden and want.ndim == 3:
        folder = scratch / "folder"
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(
            [quern, "convert", CASES / name, "-o", folder, "--to", "safetensors", "--dtype", "f32"], capture_output=True,
            check=True)
        found = masked_head(found.reshape(*golden["input_ids"].shape, -1), folder)
    if golden.get("token_type_ids") is not None:
        return "loads; llama.cpp has no way to give types of tokens"
    if found.size != want.size:
        return f"llama.cpp gives {found.size} numbers, not {want.size}: it has no such head"
    found = found.reshape(want.shape)
    error = abs(found - want).max() / want.std()
    same = (found.argmax(-1) == want.argmax(-1)).mean()
    answers.append(answer | {"agrees": bool(error < 0.01), "tops agree": bool(same == 1)})
    return f"loads; error {error:.2e} of the standard deviation; {same:.1%} of the tops agree"


def greedy(outputs, prompt, count):
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(outputs(tokens)[-1].argmax()))
    return tokens[len(prompt):]


def chatglm2(quern, runner, scratch, recipe, answers):
    """What follows a prompt: llama.cpp's tokens and ours, from an int4 file made of two shards. Ours in F32 arithmetic:
    random weights leave near ties, which rounding inputs to int8, each in its own way, would decide."""
    model, ids, out = scratch / "int4.gguf", scratch / "ids.txt", scratch / "out.bin"
    subprocess.run([quern, "quantize", CASES / "chatglm2", "-o", model, "--recipe", recipe, "--force"], capture_output=True, check=True)

    def theirs(tokens):
        ids.write_text(" ".join(map(str, tokens)) + "\n")
        subprocess.run([runner, model, ids, out], capture_output=True, check=True)
        return numpy.fromfile(out, dtype=numpy.float32).reshape(len(tokens), -1)

    def ours(tokens):
        save_file({"input_ids": numpy.array([tokens], dtype=numpy.int64)}, scratch / "ids.safetensors")
        subprocess.run([quern, "logits", model, "--ids", scratch / "ids.safetensors", "-o", scratch / "out.safetensors",
                        "--force", "--arithmetic", "exact"], capture_output=True, check=True)
        return load_file(scratch / "out.safetensors")["logits"][0]

    prompts = load_file(CASES / "chatglm2" / "golden.safetensors")["input_ids"][:, :8].tolist()
    lists = [(greedy(theirs, prompt, 12), greedy(ours, prompt, 12)) for prompt in prompts]
    answers.append({"case": "chatglm2", "recipe": recipe, "prompts": prompts, "tokens": [first for first, _ in lists]})
    same = sum(first == second for first, second in lists)
    return f"{same} of {len(lists)} prompts are continued by the same 12 tokens"


def main():
    quern = os.path.abspath(sys.argv[1])
    names = [name for name in sys.argv[2:] if name[0] != "-"] or sorted(path.name for path in CASES.iterdir())
    answers = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        runner = program(scratch)
        for name in names:
            kind = json.loads((CASES / name / "config.json").read_text())["model_type"]
            print(f"{name:28} {kind:14} {check(name, kind, quern, runner, scratch, answers)}", flush=True)
        for recipe in ("q4_0", "int4") if "chatglm2" in names else ():
            print(f"chatglm2, {recipe:18} two shards     {chatglm2(quern, runner, scratch, recipe, answers)}", flush=True)
    if "--record" in sys.argv:
        lines = ",\n".join(json.dumps(answer) for answer in answers)
        path = ROOT / "Fixtures" / "llama" / "answers.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"[\n{lines}\n]\n")


main()
