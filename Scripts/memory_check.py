"""Memory that `quern memory` predicts beside what `quern run` takes, run by run.

usage: Scripts/memory_check.py [--contexts 512 2048 8192] [--recipes q8_0 q4_0] [MODEL ...]

Each model is run as it is and quantized by each recipe, with the cache in F32 (exact arithmetic), F16, Q8_0 and Q4_0
(fast), with a prompt that fills the context. Measured is the peak resident size that the system tells of the process
(wait4). Fails when a row is off by more than 3 % and 2 MB. Default: kjv-llama, and SmolLM2 where `make models` installed it.
"""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUERN = os.environ.get("QUERN", os.path.join(ROOT, ".build/release/quern"))
CACHES = ["f32", "f16", "q8_0", "q4_0"]


def measured(model, context, kv):
    """Peak resident bytes of a run that fills the context."""
    command = [QUERN, "run", model, "-p", "a " * (context - 2), "-n", "1", "--ignore-end", "--kv", kv, "--json"]
    command += ["--arithmetic", "exact" if kv == "f32" else "fast"]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode != 0:
            sys.exit(f"memory: {' '.join(command)[:200]} failed:\n{err.read().decode()}")
        tokens = json.loads(out.read())["promptTokens"] + 1
    if tokens != context:
        sys.exit(f"memory: {model} made {tokens} tokens of a prompt for {context}")
    return usage.ru_maxrss * 1024


def predicted(model, context, kv):
    command = [QUERN, "memory", model, "--context", str(context), "--kv", kv, "--json"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["totalBytes"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--contexts", type=int, nargs="+", default=[512, 2048, 8192])
    parser.add_argument("--recipes", nargs="*", default=["q8_0", "q4_0"])
    parser.add_argument("--kv", nargs="+", default=CACHES, choices=CACHES)
    options = parser.parse_args()
    models = options.models or [os.path.join(ROOT, "Fixtures/models/kjv-llama")] + sorted(
        glob.glob(os.path.join(ROOT, "Models/smollm2/*.gguf")))
    print(f"{'model':42} {'KV':4} {'context':>7} {'predicted MB':>13} {'measured MB':>12} {'off':>8}", flush=True)
    worst = (0, "")
    missed = 0
    with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, ".build")) as work:
        for model in models:
            name = os.path.basename(model.rstrip("/")).removesuffix(".gguf")
            rows = [(name, model)]
            for recipe in options.recipes:
                target = os.path.join(work, f"{name}-{recipe}.gguf")
                subprocess.run([QUERN, "quantize", model, "-o", target, "--recipe", recipe, "--json"], check=True, capture_output=True)
                rows.append((f"{name} {recipe}", target))
            for label, path in rows:
                for kv in options.kv:
                    for context in options.contexts:
                        ours, real = predicted(path, context, kv), measured(path, context, kv)
                        share = ours / real - 1
                        bad = abs(share) > 0.03 and abs(ours - real) > 2e6
                        missed += bad
                        line = f"{label:42} {kv:4} {context:7} {ours / 1e6:13.2f} {real / 1e6:12.2f} {share:+8.2%}"
                        worst = max(worst, (abs(share), line))
                        print(line + (f"  {(ours - real) / 1e6:+.2f} MB" if bad else ""), flush=True)
    print(f"\nworst: {worst[1]}")
    if missed:
        sys.exit(f"memory: {missed} rows are off by more than 3 % and 2 MB")


if __name__ == "__main__":
    main()
