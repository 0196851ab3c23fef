"""Embeddings beside onnxruntime: how close, and how fast, alternating run by run, as a ratio of medians.

usage: Scripts/bench_embed.py [--rounds N] [--threads N]

Needs `make build`, `make models` and a Python with onnxruntime, tokenizers, numpy; the first time also torch, transformers
and onnx, to export all-MiniLM-L6-v2 to ONNX (into .build). 1,000 lines of the King James Bible and of Wikipedia from
Fixtures; mean of all tokens, one long, at most 256 tokens. Both sides start from text and have the model in memory.
onnxruntime gets its transformer optimizer, lines sorted by length, and the batch size that is fastest here.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import onnxruntime
from tokenizers import Tokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUERN = os.path.join(ROOT, ".build/release/quern")
MODEL = os.path.join(ROOT, "Models/all-minilm-l6-v2")
# The least cosine of any line. Of the two with 4 bits, one has to reach it.
BOUNDS = {"f32": 0.99999, "q8_0": 0.999, "q4_0": 0.97, "q4_k_m": 0.97}
FOUR_BITS = ["q4_0", "q4_k_m"]
LONGEST = 256


def lines():
    verses = [line for line in open(os.path.join(ROOT, "Fixtures/models/kjv-llama/eval.txt")).read().split("\n") if line.strip()]
    wiki = open(os.path.join(ROOT, "Fixtures/text/wikitext2-part.txt")).read()
    sentences = [part.strip() + " ." for part in wiki.replace("\n", " . ").split(" . ") if len(part) > 40]
    half = min(500, len(sentences))
    return verses[:1000 - half] + sentences[:half]


def export(path):
    """all-MiniLM-L6-v2 as onnxruntime likes it best."""
    import torch
    from onnxruntime.transformers import optimizer
    from transformers import AutoModel

    class States(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, ids, mask, types):
            return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state

    model = AutoModel.from_pretrained(MODEL, dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.ones(2, 8, dtype=torch.long)
    names = ["input_ids", "attention_mask", "token_type_ids"]
    torch.onnx.export(
        States(model), (ids, ids, ids * 0), path + ".plain", input_names=names, output_names=["states"], opset_version=17,
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names + ["states"]}, dynamo=False)
    best = optimizer.optimize_model(path + ".plain", model_type="bert", num_heads=12, hidden_size=384, opt_level=0)
    best.save_model_to_file(path)
    return best.get_fused_operator_statistics()


class Peer:
    def __init__(self, path, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)

    def embed(self, texts, batch):
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index]))
        vectors = numpy.empty((len(texts), 384), dtype=numpy.float32)
        for start in range(0, len(order), batch):
            rows = order[start:start + batch]
            length = max(len(encoded[row]) for row in rows)
            ids = numpy.zeros((len(rows), length), dtype=numpy.int64)
            mask = numpy.zeros_like(ids)
            for place, row in enumerate(rows):
                ids[place, :len(encoded[row])] = encoded[row]
                mask[place, :len(encoded[row])] = 1
            states, = self.session.run(
                None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)})
            means = (states * mask[..., None]).sum(1) / mask.sum(1)[:, None]
            vectors[rows] = means / numpy.linalg.norm(means, axis=1, keepdims=True)
        return vectors

    def timed(self, texts, batch):
        start = time.monotonic()
        self.embed(texts, batch)
        return time.monotonic() - start


def call(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return result.stdout


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    for needed in [QUERN, MODEL]:
        if not os.path.exists(needed):
            sys.exit(f"bench: {needed} is missing: make build, make models")
    texts = lines()
    exported = os.path.join(ROOT, ".build/minilm.onnx")
    if not os.path.exists(exported):
        export(exported)
    peer = Peer(exported, options.threads)
    exact = Peer(exported + ".plain", options.threads).embed(texts, 32)
    batch = min([1, 4, 16, 32], key=lambda size: peer.timed(texts, size))
    missed = []
    with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, ".build")) as work:
        with open(f"{work}/lines.txt", "w") as file:
            file.write("".join(text + "\n" for text in texts))
        print(f"{len(texts)} lines, {options.threads} threads, onnxruntime in batches of {batch}")
        print(f"{'':8} {'worst cosine':>13} {'mean cosine':>12} {'quern s':>9} {'process s':>10} {'onnxruntime s':>14} {'ours ÷ theirs':>14}")
        for recipe, bound in BOUNDS.items():
            model = MODEL
            if recipe != "f32":
                model = f"{work}/{recipe}.gguf"
                call(QUERN, "quantize", MODEL, "-o", model, "--recipe", recipe, "--no-report")
            ours, processes, theirs = [], [], []
            for _ in range(options.rounds):
                start = time.monotonic()
                report = json.loads(call(
                    QUERN, "embed", model, "--file", f"{work}/lines.txt", "-o", f"{work}/{recipe}.npy", "--normalize",
                    "--max-tokens", str(LONGEST), "--threads", str(options.threads), "--force", "--json"))
                processes.append(time.monotonic() - start)
                ours.append(report["seconds"])
                theirs.append(peer.timed(texts, batch))
            cosines = (numpy.load(f"{work}/{recipe}.npy").astype(numpy.float64) * exact).sum(1)
            median = statistics.median
            print(f"{recipe:8} {cosines.min():13.7f} {cosines.mean():12.7f} {median(ours):9.3f} {median(processes):10.3f} "
                  f"{median(theirs):14.3f} {median(ours) / median(theirs):14.2f}", flush=True)
            if cosines.min() < bound:
                missed.append(recipe)
    if not set(FOUR_BITS) <= set(missed):
        missed = [recipe for recipe in missed if recipe not in FOUR_BITS]
    sys.exit(f"bench: the cosines of {', '.join(missed)} are below their bounds" if missed else 0)


if __name__ == "__main__":
    main()
