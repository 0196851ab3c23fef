"""Speed of Quern beside llama.cpp, alternating run by run, as ratios of medians.

usage: Scripts/bench.py [--rounds N] [--threads 1 2] [--model F16.gguf]

Needs `make build`, `make peers` and a full-precision GGUF (default Models/smollm2/SmolLM2-135M-dithered.F16.gguf, which
Scripts/dither.py makes from the one that `make models` installs). Prompt 512, generation 64, the same files for both.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUERN = os.path.join(ROOT, ".build/release/quern")
PEERS = os.path.join(ROOT, ".peers/bin")


def call(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed:\n{result.stderr[-2000:]}")
    return result.stdout


def ours(model, threads):
    out = json.loads(call(QUERN, "bench", model, "-p", "512", "-n", "64", "-r", "1", "--threads", str(threads), "--json"))
    return out["promptTokensPerSecond"], out["tokensPerSecond"]


def theirs(model, threads):
    rows = json.loads(call(
        f"{PEERS}/llama-bench", "-m", model, "-p", "512", "-n", "64", "-r", "1", "-t", str(threads), "-o", "json"))
    prompt = next(row["avg_ts"] for row in rows if row["n_prompt"] == 512)
    generation = next(row["avg_ts"] for row in rows if row["n_gen"] == 64)
    return prompt, generation


def timed(*command):
    start = time.monotonic()
    call(*command)
    return time.monotonic() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", default=os.path.join(ROOT, "Models/smollm2/SmolLM2-135M-dithered.F16.gguf"))
    options = parser.parse_args()
    for needed in [QUERN, f"{PEERS}/llama-bench", options.model]:
        if not os.path.exists(needed):
            sys.exit(f"bench: {needed} is missing; see the usage: python3 Scripts/bench.py --help")

    median = statistics.median
    with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, ".build")) as work:
        print(f"{'quantize F16 to':24} {'quern s':>10} {'llama.cpp s':>12} {'ours ÷ theirs':>14}")
        for recipe in ["q8_0", "q4_0"]:
            mine, peer = [], []
            for _ in range(options.rounds):
                mine.append(timed(QUERN, "quantize", options.model, "-o", f"{work}/ours-{recipe}.gguf", "--recipe", recipe, "--force", "--json"))
                peer.append(timed(f"{PEERS}/llama-quantize", options.model, f"{work}/theirs-{recipe}.gguf", recipe.upper(), "2"))
            print(f"{recipe:24} {median(mine):10.3f} {median(peer):12.3f} {median(mine) / median(peer):14.2f}")
        print()
        print(f"{'SmolLM2-135M, tokens/s':24} {'quern':>10} {'llama.cpp':>12} {'ours ÷ theirs':>14}")
        for recipe in ["q8_0", "q4_0"]:
            model = f"{work}/ours-{recipe}.gguf"
            for threads in options.threads:
                rates = {"prompt": ([], []), "generation": ([], [])}
                for _ in range(options.rounds):
                    for side, measure in enumerate([ours, theirs]):
                        prompt, generation = measure(model, threads)
                        rates["prompt"][side].append(prompt)
                        rates["generation"][side].append(generation)
                for what, (mine, peer) in rates.items():
                    label = f"{recipe} {what}, {threads} thread{'s' if threads > 1 else ''}"
                    print(f"{label:24} {median(mine):10.1f} {median(peer):12.1f} {median(mine) / median(peer):14.2f}")


if __name__ == "__main__":
    main()
