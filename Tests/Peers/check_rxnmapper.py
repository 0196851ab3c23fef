"""Compares what Quern puts into the gaps of reactions with what transformers does (Fixtures/real/rxnmapper.json).

    make models
    python3 Tests/Peers/check_rxnmapper.py QUERN       (nothing but Python's own library)

Every gap twice: through `quern fill-mask` with the text, and through `quern logits` with transformers' own token ids.
"""

import array
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "Models" / "rxnmapper"


def call(*command):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {result.stderr}")
    return result.stdout


def write_ids(path, ids):
    header = json.dumps({"input_ids": {"dtype": "I64", "shape": [1, len(ids)], "data_offsets": [0, 8 * len(ids)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + array.array("q", ids).tobytes())


def read_logits(path):
    data = path.read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])["logits"]
    start, end = header["data_offsets"]
    values = array.array("f", data[8 + length + start:8 + length + end])
    _, rows, columns = header["shape"]
    return [values[row * columns:(row + 1) * columns] for row in range(rows)]


def top(values):
    return sorted(range(len(values)), key=lambda token: -values[token])[:5]


def main():
    quern = sys.argv[1]
    answers = json.loads((ROOT / "Fixtures" / "real" / "rxnmapper.json").read_text())
    gaps = texts = ids = 0
    worst = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for answer in answers:
            found = json.loads(call(quern, "fill-mask", MODEL, answer["text"], "--top", "5", "--json"))["gaps"]
            write_ids(scratch / "ids.safetensors", answer["ids"])
            call(quern, "logits", MODEL, "--ids", scratch / "ids.safetensors", "-o", scratch / "out.safetensors", "--force")
            logits = read_logits(scratch / "out.safetensors")
            for gap, wanted in zip(found, answer["gaps"], strict=True):
                gaps += 1
                same = [token["id"] for token in gap["tokens"]] == wanted["ids"] and gap["position"] == wanted["position"]
                texts += same
                ids += top(logits[wanted["position"]]) == wanted["ids"]
                if same:
                    worst = max(worst, *(abs(token["probability"] - probability)
                                         for token, probability in zip(gap["tokens"], wanted["probabilities"])))
    print(f"{gaps} gaps: the top 5 are transformers' in {texts} through the text and in {ids} through the ids; "
          f"probabilities differ by at most {worst:.1e}")
    sys.exit(texts != gaps or ids != gaps)


main()
