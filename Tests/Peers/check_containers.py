"""Reads with the `gguf` and `safetensors` packages what Quern wrote, and compares it with the fixtures it was made from.

    mkdir OUT
    QUERN_PEER_FILES=OUT swift test --filter writeForPeers
    python Tests/Peers/check_containers.py OUT

Not part of `make test`: it needs numpy, gguf and safetensors.
"""

import pathlib
import sys

import gguf
import safetensors

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "Fixtures"
OUT = pathlib.Path(sys.argv[1])


def read_gguf(*paths):
    pairs, tensors = {}, {}
    for path in paths:
        reader = gguf.GGUFReader(path)
        for field in reader.fields.values():
            if not field.name.startswith(("GGUF.", "split.")):
                pairs.setdefault(field.name, ([int(kind) for kind in field.types], field.contents()))
        for tensor in reader.tensors:
            tensors[tensor.name] = (tensor.tensor_type, tensor.shape.tolist(), tensor.data.tobytes())
    return list(pairs.items()), list(tensors.items())


def read_safetensors(path):
    tensors = dict(safetensors.deserialize(path.read_bytes()))
    with safetensors.safe_open(path, framework="np") as file:
        return tensors, file.metadata()


def main():
    checked = 0
    for name in ["plain", "version_2", "every_value_type", "aligned_64"]:
        original = FIXTURES / "gguf" / "good" / f"{name}.gguf"
        # gguf-py does not read arrays in arrays, and the bytes are compared in our own tests.
        if name == "every_value_type":
            continue
        assert read_gguf(OUT / "gguf" / f"{name}.gguf") == read_gguf(original), name
        checked += 1
    parts = sorted((OUT / "gguf").glob("parts-*.gguf"))
    assert len(parts) == 3
    assert read_gguf(*parts) == read_gguf(FIXTURES / "gguf" / "good" / "plain.gguf")
    checked += 1
    for name in ["every_type", "no_tensors", "reordered"]:
        original = FIXTURES / "safetensors" / "good" / f"{name}.safetensors"
        assert read_safetensors(OUT / f"safetensors-{name}" / "model.safetensors") == read_safetensors(original), name
        checked += 1
    print(f"{checked} models read alike by the formats' own packages")


main()
