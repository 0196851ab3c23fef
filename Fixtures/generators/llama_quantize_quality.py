"""What llama-quantize loses on kjv-llama, judged by llama-perplexity: Fixtures/quality/kjv-llama.json.

usage: Fixtures/generators/llama_quantize_quality.py      (needs make peers and make build)

An imatrix of the first 64 windows of calib.txt, then for each type the mean KL divergence over the first 24 windows of
eval.txt. The tests compare what we lose at the same bytes with it; `make bench-quality` does so over the whole texts.
"""
import json
import os
import re
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(ROOT, "Fixtures/models/kjv-llama")
TYPES = ["Q4_0", "Q4_K_M", "Q2_K"]
CALIBRATION_WINDOWS, EVALUATION_WINDOWS = 64, 24


def call(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    return result.stdout + result.stderr


def peer(tool, *arguments):
    return call(os.path.join(ROOT, ".peers/bin", tool), *arguments)


def main():
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        call(os.environ.get("QUERN", os.path.join(ROOT, ".build/release/quern")), "convert", MODEL, "-o", path("f16.gguf"), "--dtype", "f16")
        peer("llama-imatrix", "-m", path("f16.gguf"), "-f", os.path.join(MODEL, "calib.txt"), "-o", path("im.gguf"),
             "-c", 256, "-b", 512, "-t", 2, "--chunks", CALIBRATION_WINDOWS)
        judge = ["-f", os.path.join(MODEL, "eval.txt"), "-c", 256, "-b", 512, "-t", 2, "--chunks", EVALUATION_WINDOWS,
                 "--kl-divergence-base", path("base.kld")]
        peer("llama-perplexity", "-m", path("f16.gguf"), *judge)
        for type in TYPES:
            for text, arguments in [("calib.txt", ["--imatrix", path("im.gguf")]), (None, [])]:
                peer("llama-quantize", *arguments, path("f16.gguf"), path("out.gguf"), type, 2)
                found = None
                # On a busy machine it may end before its log has written the last lines.
                while not found:
                    answer = peer("llama-perplexity", "-m", path("out.gguf"), *judge, "--kl-divergence")
                    found = re.search(r"Mean\s+KLD:\s+([0-9.]+)", answer)
                rows[f"{type}/{text or 'none'}"] = {
                    "kld": float(found[1]),
                    "fileBytes": os.path.getsize(path("out.gguf")),
                }
    out = os.path.join(ROOT, "Fixtures/quality/kjv-llama.json")
    with open(out, "w") as file:
        json.dump({
            "describes": "Mean KL divergence of llama-quantize's files, by llama-perplexity; see llama_quantize_quality.py.",
            "calibrationWindows": CALIBRATION_WINDOWS, "evaluationWindows": EVALUATION_WINDOWS, "rows": rows,
        }, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
