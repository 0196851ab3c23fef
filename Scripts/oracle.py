"""llama.cpp's own allocator beside `quern memory --profile llama.cpp`, configuration by configuration.

usage: Scripts/oracle.py [--models NAME ...] [--quick]

Writes header-only GGUF files (sparse: a few KB each on disk), asks llama-fit-params what model, KV cache and compute
buffer take, and compares each with what Quern says of the same file. Needs `make build` and `make peers`.
"""
import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
QUERN = os.environ.get("QUERN", os.path.join(ROOT, ".build/release/quern"))
PEER = os.path.join(os.environ.get("QUERN_PEERS", os.path.join(ROOT, ".peers")), "bin/llama-fit-params")
MIB = 1 << 20


def generator():
    spec = importlib.util.spec_from_file_location("oracle", os.path.join(ROOT, "Fixtures/generators/llama_fit_oracle.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(path, row):
    sequences = row["sequences"]
    command = [QUERN, "memory", path, "--profile", "llama.cpp", "--context", str(row["context"] // sequences),
               "--batch", str(sequences), "--kv", row["kv"].lower(), "--ubatch", str(row["microBatch"]),
               "--flash-attention", "on" if row["flashAttention"] else "off", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"oracle: {' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*")
    parser.add_argument("--quick", action="store_true", help="three variations of each model instead of twelve")
    options = parser.parse_args()
    for needed in [QUERN, PEER]:
        if not os.path.exists(needed):
            sys.exit(f"oracle: {needed} is missing: make build, make peers")
    oracle = generator()
    print(f"{'model':18} {'type':5} {'context':>7} {'ub':>5} {'FA':3} {'KV':5} {'seq':>3}"
          f" {'model MiB':>17} {'KV MiB':>15} {'compute MiB':>21}", flush=True)
    rows, wrong, missed, worst = 0, [], [], (0, "")
    with tempfile.TemporaryDirectory() as folder:
        for name, model in oracle.MODELS.items():
            if options.models and name not in options.models:
                continue
            changes = oracle.VARIATIONS[:4] if options.quick else oracle.VARIATIONS
            for change in changes:
                row = {**oracle.BASE, **change}
                path = os.path.join(folder, f"{name}-{row['type']}.gguf")
                if not os.path.exists(path):
                    oracle.write(path, model, row["type"])
                theirs, _ = oracle.ask(PEER, path, row)
                mine = ours(path, row)
                weights, cache, compute = (mine[key] / MIB for key in ("weightsBytes", "kvCacheBytes", "computeBytes"))
                off = compute - theirs["computeMiB"]
                line = (f"{name:18} {row['type']:5} {row['context']:7} {row['microBatch']:5} {'on' if row['flashAttention'] else 'off':3}"
                        f" {row['kv']:5} {row['sequences']:3} {int(weights):8}/{theirs['modelMiB']:8} {int(cache):7}/{theirs['contextMiB']:7}"
                        f" {compute:9.2f}/{theirs['computeMiB']:9.2f} {off / theirs['computeMiB']:+.1%}")
                rows += 1
                if int(weights) != theirs["modelMiB"] or int(cache) != theirs["contextMiB"]:
                    wrong.append(line)
                if abs(off) > max(4, 0.03 * theirs["computeMiB"]):
                    missed.append(line)
                worst = max(worst, (abs(off) / theirs["computeMiB"] if abs(off) > 4 else 0, line))
                print(line, flush=True)
    within = rows - len(missed)
    print(f"\n{rows} configurations: model and KV exact to the MiB on {rows - len(wrong)}; "
          f"compute within 3 % or 4 MiB on {within} ({within / rows:.1%})")
    print(f"worst compute: {worst[1]}")
    for line in wrong:
        print(f"not exact: {line}")
    if wrong or len(missed) * 10 > rows:
        sys.exit("oracle: outside the bounds")


if __name__ == "__main__":
    main()
