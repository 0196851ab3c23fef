"""What quantizing costs beside llama.cpp: seconds of whole commands, alternating, as ratios of medians; peak memory.

usage: Scripts/bench_cost.py --text CALIBRATION.txt [--model F16.gguf] [--rounds N] [--rows ROW ...]

Rows: q8_0 q4_0 q4_k_m (without calibration; `bare`: without the report, whose SHA-256 of the source llama-quantize does
not compute), q4_k_m+imatrix iq4_nl iq4_xs iq3_s (with llama-imatrix's file), imatrix (the calibration pass, the same tokens),
feedback sequential (error feedback onto q4_k_m; llama.cpp has no such thing).
Needs `make build` and `make peers`; the model is Models/smollm2/SmolLM2-135M-dithered.F16.gguf where not given, which
Scripts/dither.py makes. Two threads.
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
ROWS = ["q8_0", "q4_0", "q4_k_m", "q8_0 bare", "q4_0 bare", "imatrix", "q4_k_m+imatrix", "iq4_nl", "iq4_xs", "iq3_s",
        "feedback", "sequential"]
WITH_IMATRIX = ["q4_k_m+imatrix", "iq4_nl", "iq4_xs", "iq3_s"]
CONTEXT, WINDOWS = 512, 16


def run(*command):
    """Seconds of a command, and its peak memory in bytes."""
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{message.decode(errors='replace')[-2000:]}")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--model", default=os.path.join(ROOT, "Models/smollm2/SmolLM2-135M-dithered.F16.gguf"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS)
    parser.add_argument("--quern", default=os.path.join(ROOT, ".build/release/quern"))
    parser.add_argument("--peers", default=os.path.join(ROOT, ".peers/bin"))
    options = parser.parse_args()
    quern, model = options.quern, options.model

    with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, ".build")) as work:
        imatrix = f"{work}/imatrix.gguf"

        def quantize(*arguments):
            return run(quern, "quantize", model, "-o", f"{work}/ours.gguf", "--force", "--json", "--threads", 2, *arguments)

        def llama_quantize(kind, *arguments):
            return run(f"{options.peers}/llama-quantize", *arguments, model, f"{work}/theirs.gguf", kind.upper(), 2)

        def llama_imatrix():
            return run(
                f"{options.peers}/llama-imatrix", "-m", model, "-f", options.text, "-o", imatrix, "-c", CONTEXT, "-b", CONTEXT,
                "-t", 2, "--chunks", WINDOWS)

        def commands(row):
            kind = row.partition("+")[0].partition(" ")[0]
            if row == "imatrix":
                return (lambda: run(
                    quern, "imatrix", model, "--text", options.text, "-o", f"{work}/ours.imatrix", "--force", "--context", CONTEXT,
                    "--windows", WINDOWS, "--threads", 2)), llama_imatrix
            if row in ["feedback", "sequential"]:
                return (lambda: quantize("--recipe", "q4_k_m", "--calibrate", options.text, "--method", row)), None
            if row in WITH_IMATRIX:
                return (lambda: quantize("--recipe", kind, "--imatrix", imatrix)), (
                    lambda: llama_quantize(kind, "--imatrix", imatrix))
            bare = ["--no-report"] if row.endswith(" bare") else []
            return (lambda: quantize("--recipe", kind, *bare)), (lambda: llama_quantize(kind))

        if any(row in WITH_IMATRIX for row in options.rows):
            llama_imatrix()
        print(f"{'':16} {'quern s':>9} {'llama.cpp s':>12} {'ours ÷ theirs':>14} {'peak memory':>12}", flush=True)
        for row in options.rows:
            sides = commands(row)
            seconds, peak = ([], []), 0
            for _ in range(1 if sides[1] is None else options.rounds):
                for side, command in enumerate(sides):
                    if command:
                        elapsed, memory = command()
                        seconds[side].append(elapsed)
                        peak = max(peak, memory) if side == 0 else peak
            ours = statistics.median(seconds[0])
            theirs = statistics.median(seconds[1]) if seconds[1] else None
            line = f"{row:16} {ours:9.2f} " + (f"{theirs:12.2f} {ours / theirs:14.2f}" if theirs else f"{'–':>12} {'–':>14}")
            print(f"{line} {peak / 1e6:9.0f} MB", flush=True)
            with open(os.path.join(ROOT, ".build/bench-cost.jsonl"), "a") as file:
                file.write(json.dumps({"row": row, "ours": seconds[0], "theirs": seconds[1], "peak": peak}) + "\n")


if __name__ == "__main__":
    main()
