"""Loss of Quern's quantization beside llama-quantize's, judged by llama-perplexity, as ratios of mean KL divergences.

usage: Scripts/bench_quality.py theirs [--models kjv-llama smollm2]
       Scripts/bench_quality.py ours   [--models ...] [--types Q4_0 Q4_K_M ...] [--text calib|other|none] [-- ARGUMENTS]

`theirs` makes what everything is compared with and keeps it in WORK (default .peers/quality), so that it is computed once:
logits of the F16 model on the evaluation text, llama-imatrix on the calibration text and on text of another domain, and
llama-quantize of each type. `ours` runs `quern quantize --recipe TYPE ARGUMENTS` for each type on the same texts and
prints both; in ARGUMENTS {text} is the calibration text, {imatrix} llama-imatrix's file of it. Without ARGUMENTS it is
`--calibrate {text}`, or nothing for --text none. --recipe NAME puts one recipe at each type's size (--target-size).

Needs `make build`, `make peers`, and for smollm2 Scripts/dither.py's model and WikiText-2's validation text (--wikitext).
"""
import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TYPES = ["Q4_0", "IQ4_NL", "Q4_K_S", "Q4_K_M", "Q3_K_M", "Q2_K", "IQ4_XS", "Q8_0", "Q6_K"]
TYPES_WITHOUT_DATA = ["Q4_0", "Q4_K_S"]
TYPES_OF_OTHER_DOMAIN = ["Q4_0", "IQ4_NL", "Q4_K_S", "Q4_K_M"]


def call(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout + result.stderr


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lines_of(text, begin, byte_count):
    """Whole lines from the first line that starts at or after `begin`, `byte_count` bytes or a little less."""
    begin = 0 if begin == 0 else text.index(b"\n", begin) + 1
    return text[begin:text.rindex(b"\n", begin, begin + byte_count) + 1]


class Peer:
    """A model, its texts, and what llama.cpp makes of them, kept under `work/NAME`."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.folder = os.path.join(options.work, name)
        os.makedirs(self.folder, exist_ok=True)
        wikitext = b""
        if options.wikitext:
            with open(options.wikitext, "rb") as file:
                wikitext = file.read()
        fixture = os.path.join(ROOT, "Fixtures/models/kjv-llama")
        if name == "kjv-llama":
            self.context, self.windows = 256, 64
            self.gguf = self.path("F16.gguf")
            if not os.path.exists(self.gguf):
                call(options.quern, "convert", fixture, "-o", self.gguf, "--dtype", "f16")
            self.evaluation = os.path.join(fixture, "eval.txt")
            self.texts = {"calib": os.path.join(fixture, "calib.txt")}
            if wikitext:
                self.texts["other"] = self.path("wikitext.txt")
                self.keep(self.texts["other"], lines_of(wikitext, 100_000, 160_000))
        else:
            self.context, self.windows = 512, 16
            self.gguf = options.smollm2
            self.evaluation = self.path("eval.txt")
            self.texts = {"calib": self.path("calib.txt"), "other": self.path("code.txt")}
            self.keep(self.evaluation, lines_of(wikitext, 0, 44_000))
            self.keep(self.texts["calib"], lines_of(wikitext, 200_000, 160_000))
            # Code that `make peers` pins by version.
            sources = os.path.join(options.peers, "src/vendor/llama.cpp/src")
            code = b"".join(open(os.path.join(sources, file), "rb").read() for file in ["llama-graph.cpp", "llama-context.cpp"])
            self.keep(self.texts["other"], lines_of(code, 0, 110_000))
        self.cache_path = self.path("theirs.json")
        self.setup = {
            "model": sha256(self.gguf), "evaluation": sha256(self.evaluation), "context": self.context,
            "windows": self.windows,
        }
        # A text that changed takes its imatrix and rows with it.
        self.digests = {text: sha256(path)[:8] for text, path in self.texts.items()} | {"none": ""}
        self.rows = {}
        if os.path.exists(self.cache_path):
            with open(self.cache_path) as file:
                cache = json.load(file)
            if cache["setup"] == self.setup:
                self.rows = cache["rows"]

    def path(self, file):
        return os.path.join(self.folder, file)

    def keep(self, path, data):
        if not os.path.exists(path) or open(path, "rb").read() != data:
            with open(path, "wb") as file:
                file.write(data)

    def peer(self, tool, *arguments):
        return call(os.path.join(self.options.peers, "bin", tool), *arguments)

    def made(self, path, make):
        """`path`, made by `make(temporary)` if it is not there."""
        if not os.path.exists(path):
            part = path.removesuffix(".gguf") + ".part" + (".gguf" if path.endswith(".gguf") else "")
            make(part)
            os.rename(part, path)
        return path

    def perplexity(self, gguf, *arguments):
        # fit-params would read the model once more to find out that there is no accelerator
        windows = ["--chunks", self.windows] if self.windows else []
        return self.peer(
            "llama-perplexity", "-m", gguf, "-f", self.evaluation, "-c", self.context, "-b", max(512, self.context),
            "-t", self.options.threads, *windows, *arguments)

    def compare(self, gguf):
        """What llama-perplexity says of `gguf` beside the F16 model."""
        base = self.made(
            self.path(f"logits-{self.setup['model'][:8]}-{self.setup['evaluation'][:8]}.kld"),
            lambda part: self.perplexity(self.gguf, "--kl-divergence-base", part))
        # On a busy machine it may end before its log has written the last lines.
        for _ in range(15):
            text = self.perplexity(gguf, "--kl-divergence-base", base, "--kl-divergence")
            if re.search(r"Same top p\s*:", text):
                break

        def number(pattern):
            found = re.search(pattern + r"\s*:\s*(-?[0-9.]+)(?:\s*±\s*([0-9.]+))?", text)
            if not found:
                sys.exit(f"llama-perplexity did not say {pattern}:\n{text[-3000:]}")
            return float(found[1]), float(found[2] or 0)

        kld, error = number(r"Mean\s+KLD")
        return {
            "kld": kld, "kldError": error, "kldMedian": number(r"Median\s+KLD")[0],
            "kld99": number(r"99\.0%\s+KLD")[0], "perplexityRatio": number(r"Mean PPL\(Q\)/PPL\(base\)")[0],
            "sameTop": number(r"Same top p")[0], "bytes": os.path.getsize(gguf),
        }

    def imatrix(self, text):
        return self.made(self.path(f"imatrix-{text}-{self.digests[text]}.gguf"), lambda part: self.peer(
            "llama-imatrix", "-m", self.gguf, "-f", self.texts[text], "-o", part, "-c", self.context,
            "-b", max(512, self.context), "-t", self.options.threads))

    def theirs(self, type, text):
        """llama-quantize's row for a type, calibrated on a text ("none": not calibrated)."""
        key = f"{type}/{text}/{self.digests[text]}"
        if key not in self.rows:
            gguf = self.path(f"theirs-{type}-{text}.gguf")
            calibration = [] if text == "none" else ["--imatrix", self.imatrix(text)]
            start = time.monotonic()
            self.peer("llama-quantize", *calibration, self.gguf, gguf, type, self.options.threads)
            seconds = time.monotonic() - start
            self.rows[key] = {"model": self.name, "type": type, "text": text, "seconds": round(seconds, 2)} | self.compare(gguf)
            os.remove(gguf)
            with open(self.cache_path, "w") as file:
                json.dump({"setup": self.setup, "rows": self.rows}, file, indent=1)
        return self.rows[key]

    def ours(self, type, text, arguments):
        theirs = self.theirs(type, text)
        gguf = self.path(f"ours-{os.getpid()}.gguf")
        known = {"text": self.texts.get(text, ""), "imatrix": self.path(f"imatrix-{text}-{self.digests[text]}.gguf"), "size": theirs["bytes"]}
        recipe = ["--recipe", type.lower()]
        if self.options.recipe:
            recipe = ["--recipe", self.options.recipe, "--target-size", f"{theirs['bytes']}"]
        start = time.monotonic()
        call(
            self.options.quern, "quantize", self.gguf, "-o", gguf, "--force", "--no-report", "--threads", self.options.threads, *recipe,
            *[word.format(**known) for word in arguments])
        seconds = time.monotonic() - start
        row = {"model": self.name, "type": type, "text": text, "seconds": round(seconds, 2)} | self.compare(gguf)
        os.remove(gguf)
        return row, theirs


HEADER = f"{'model':10} {'type':8} {'text':6} {'bytes':>10} {'mean KLD':>10} {'± ':>8} {'99% KLD':>9} {'PPL ratio':>9} {'same top':>8} {'s':>6}"


def line(row):
    return (f"{row['model']:10} {row['type']:8} {row['text']:6} {row['bytes']:10} {row['kld']:10.6f} {row['kldError']:8.6f} "
            f"{row['kld99']:9.5f} {row['perplexityRatio']:9.5f} {row['sameTop']:8.2f} {row['seconds']:6.1f}")


def main():
    arguments = sys.argv[1:]
    extra = []
    if "--" in arguments:
        extra, arguments = arguments[arguments.index("--") + 1:], arguments[:arguments.index("--")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=["theirs", "ours"])
    parser.add_argument("--models", nargs="+", default=["kjv-llama", "smollm2"], choices=["kjv-llama", "smollm2"])
    parser.add_argument("--types", nargs="+", default=None)
    parser.add_argument("--text", nargs="+", default=None, choices=["calib", "other", "none"])
    parser.add_argument("--recipe", help="this recipe at each type's size instead of the recipe of the same name")
    parser.add_argument("--json", help="write the rows here as well")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quern", default=os.path.join(ROOT, ".build/release/quern"))
    parser.add_argument("--peers", default=os.path.join(ROOT, ".peers"))
    parser.add_argument("--work", help="default: PEERS/quality")
    parser.add_argument("--smollm2", default=os.path.join(ROOT, "Models/smollm2/SmolLM2-135M-dithered.F16.gguf"))
    parser.add_argument("--wikitext", help="WikiText-2's validation split as plain text; without it only kjv-llama on its own text")
    options = parser.parse_args(arguments)
    options.work = options.work or os.path.join(options.peers, "quality")
    os.makedirs(options.work, exist_ok=True)

    if not options.wikitext and "smollm2" in options.models:
        options.models.remove("smollm2")
        print("bench_quality: without --wikitext smollm2 is left out", file=sys.stderr)

    def wanted(peer):
        for text, types in [("calib", TYPES), ("none", TYPES_WITHOUT_DATA), ("other", TYPES_OF_OTHER_DOMAIN)]:
            if text in peer.digests and (options.text is None or text in options.text):
                yield from ((type, text) for type in options.types or types)

    rows = []
    ratio = " vs theirs" if options.side == "ours" else ""
    print(HEADER + (f" {'÷ theirs':>9} {'bytes':>6}" if ratio else ""), flush=True)
    for name in options.models:
        peer = Peer(name, options)
        for type, text in wanted(peer):
            if options.side == "theirs":
                rows.append(peer.theirs(type, text))
                print(line(rows[-1]), flush=True)
            else:
                given = extra or ([] if text == "none" else ["--calibrate", "{text}"])
                row, theirs = peer.ours(type, text, given)
                rows.append(row | {
                    "recipe": options.recipe or type.lower(),
                    "arguments": given, "theirs": theirs["kld"], "theirBytes": theirs["bytes"],
                    "ratio": row["kld"] / max(theirs["kld"], 1e-9)})
                fits = "ok" if row["bytes"] <= theirs["bytes"] else f"+{row['bytes'] - theirs['bytes']}"
                print(f"{line(row)} {rows[-1]['ratio']:9.3f} {fits:>6}", flush=True)
            # One line per row as it comes: a run that is cut short keeps what it measured.
            with open(os.path.join(options.work, f"{options.side}.jsonl"), "a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            if options.json:
                with open(options.json, "w") as file:
                    json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
