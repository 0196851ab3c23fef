"""Writes Fixtures/containers: a small file of every container that is only read, by its own library where that has one,
and beside it FILE.answer.safetensors with the tensors that it holds.

    python make_container_fixtures.py

Needs numpy, safetensors, h5py, onnx, msgpack, ctranslate2, gensim, zstandard and torch. TensorFlow's index, MindSpore's
and Paddle's messages, llama2.c's and GGML's files are written here by their documented layouts; what those programs wrote
themselves, make_framework_fixtures.py and make_ggml_fixtures.py add.
"""

import io
import json
import pickle
import struct
import tarfile

import ctranslate2
import gensim
import h5py
import ml_dtypes
import msgpack
import numpy as np
import onnx
import torch
import zstandard
from onnx import TensorProto, helper, numpy_helper

from common import FIXTURES, Table, field, normal, save_answer

ROOT = FIXTURES / "containers"
random = np.random.default_rng(11)


def f32(*shape):
    return normal(random, *shape)


def answer(name, tensors):
    save_answer(ROOT, name, tensors)


def write(name, data, tensors):
    (ROOT / name).write_bytes(data)
    answer(name, tensors)


def hdf5():
    for name, options in [("old.h5", {}), ("new.h5", {"libver": "latest"})]:
        tensors = {"a/kernel:0": f32(5, 7), "a/deep/bias:0": f32(7), "half": f32(3, 4).astype(np.float16),
                   "step": np.array(7, np.int64), "flags": np.array([True, False, True])}
        with h5py.File(ROOT / name, "w", **options) as file:
            for path, value in tensors.items():
                file.create_dataset(path, data=value)
            file["text"] = "left alone"
            file.attrs["keras_version"] = "2.2.4"
        answer(name, tensors)
    tensors = {"gzip": f32(70, 33), "plain": f32(9, 10, 11), "vector": np.arange(1000, dtype=np.int32)}
    with h5py.File(ROOT / "chunked.h5", "w") as file:
        file.create_dataset("gzip", data=tensors["gzip"], chunks=(16, 8), compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("plain", data=tensors["plain"], chunks=(4, 3, 5))
        file.create_dataset("vector", data=tensors["vector"], chunks=(64,), compression="gzip")
    answer("chunked.h5", tensors)


def model(nodes, tensors):
    graph = helper.make_graph(nodes, "g", [], [helper.make_tensor_value_info("y", 1, None)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def onnx_files():
    raw, typed = f32(4, 6), f32(3, 2)
    half = f32(5).astype(np.float16)
    branch = f32(6, 6)
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["inner.weight"], value=numpy_helper.from_array(branch))], "then", [],
        [helper.make_tensor_value_info("inner.weight", 1, None)])
    tensors = [
        numpy_helper.from_array(raw, "raw"), helper.make_tensor("typed", TensorProto.FLOAT, [3, 2], typed.ravel()),
        helper.make_tensor("half", TensorProto.FLOAT16, [5], half), helper.make_tensor("ids", TensorProto.INT64, [3], [1, -2, 3]),
        helper.make_tensor("small", TensorProto.INT8, [3], [-1, 2, -3]),
    ]
    write("plain.onnx", model([helper.make_node("If", ["c"], ["y"], name="if", then_branch=inner, else_branch=inner)],
                              tensors).SerializeToString(),
          {"raw": raw, "typed": typed, "half": half, "ids": np.array([1, -2, 3]), "small": np.array([-1, 2, -3], np.int8),
           "inner.weight": branch, "if/then_branch/inner.weight": branch})

    weight, bias = f32(8, 6), f32(6)
    named = model([helper.make_node("MatMul", ["x", "onnx::MatMul_12"], ["m"], name="/enc/fc/MatMul"),
                   helper.make_node("Add", ["enc.fc.bias", "m"], ["y"]),
                   helper.make_node("MatMul", ["y", "onnx::MatMul_13"], ["z"], name="/dec/proj/MatMul")],
                  [numpy_helper.from_array(weight, "onnx::MatMul_12"), numpy_helper.from_array(bias, "enc.fc.bias"),
                   numpy_helper.from_array(weight + 1, "onnx::MatMul_13")])
    write("renamed.onnx", named.SerializeToString(),
          {"enc.fc.weight": weight.T, "enc.fc.bias": bias, "dec.proj.weight": (weight + 1).T})

    q = random.integers(-128, 128, (8, 6)).astype(np.int8)
    scale, zero = np.abs(f32(6)), random.integers(-5, 5, 6).astype(np.int8)
    u, uscale = random.integers(0, 256, (4, 4)).astype(np.uint8), np.array(0.02, np.float32)
    blocked, bscale = random.integers(-8, 8, (6, 32)).astype(np.int8), np.abs(f32(6, 2))
    q4 = numpy_helper.from_array(blocked.astype(ml_dtypes.int4), "w4")
    dynamic, dscale, dzero = random.integers(0, 256, (5, 3)).astype(np.uint8), np.array([0.5], np.float32), np.array([128], np.uint8)
    qdq = model([helper.make_node("DequantizeLinear", ["w_quantized", "w_scale", "w_zero"], ["w_DequantizeLinear_Output"], axis=1),
                 helper.make_node("DequantizeLinear", ["u", "us"], ["u_float"]),
                 helper.make_node("DequantizeLinear", ["w4", "w4s"], ["w4_float"], axis=1, block_size=16)],
                [numpy_helper.from_array(q, "w_quantized"), numpy_helper.from_array(scale, "w_scale"),
                 numpy_helper.from_array(zero, "w_zero"), numpy_helper.from_array(u, "u"), numpy_helper.from_array(uscale, "us"),
                 q4, numpy_helper.from_array(bscale, "w4s"),
                 numpy_helper.from_array(dynamic, "d.weight_quantized"), numpy_helper.from_array(dscale, "d.weight_scale"),
                 numpy_helper.from_array(dzero, "d.weight_zero_point")])
    write("qdq.onnx", qdq.SerializeToString(),
          {"w": (q.astype(np.float32) - zero) * scale, "u_float": u.astype(np.float32) * uscale,
           "w4_float": blocked.astype(np.float32) * bscale.repeat(16, 1),
           "d.weight": (dynamic.astype(np.float32) - 128) * dscale})

    n, k, block = 5, 64, 32
    values = random.integers(0, 16, (n, k))
    packed = (values[:, 0::2] | values[:, 1::2] << 4).astype(np.uint8).reshape(n, k // block, block // 2)
    scales, zeros = np.abs(f32(n, k // block)), random.integers(0, 16, (n, k // block))
    zero_bytes = (zeros[:, 0::2] | zeros[:, 1::2] << 4).astype(np.uint8)
    attributes = {"N": n, "K": k, "bits": 4, "block_size": block, "domain": "com.microsoft"}
    nbits = model([helper.make_node("MatMulNBits", ["x", "fc.weight_Q4", "fc.scales", "fc.zeros"], ["a"], **attributes),
                   helper.make_node("MatMulNBits", ["a", "out.weight_Q4", "out.scales"], ["y"], **attributes)],
                  [numpy_helper.from_array(packed, "fc.weight_Q4"), numpy_helper.from_array(scales.ravel(), "fc.scales"),
                   numpy_helper.from_array(zero_bytes.ravel(), "fc.zeros"), numpy_helper.from_array(packed, "out.weight_Q4"),
                   numpy_helper.from_array(scales.ravel(), "out.scales")])
    write("nbits.onnx", nbits.SerializeToString(),
          {"fc.weight": ((values - zeros.repeat(block, 1)).astype(np.float32)) * scales.repeat(block, 1),
           "out.weight": (values - 8).astype(np.float32) * scales.repeat(block, 1)})

    big = {"a": f32(16, 16), "b": f32(7)}
    external = model([], [numpy_helper.from_array(v, k) for k, v in big.items()])
    onnx.save_model(external, ROOT / "external.onnx", save_as_external_data=True, location="external.bin",
                    size_threshold=0)
    answer("external.onnx", big)


def tensorflow():
    tensors = {"model/a/.ATTRIBUTES/VARIABLE_VALUE": f32(4, 3), "model/ab/.ATTRIBUTES/VARIABLE_VALUE": f32(5),
               "step/.ATTRIBUTES/VARIABLE_VALUE": np.array(9, np.int64)}
    types = {"float32": 1, "int64": 9}
    data, entries = b"", [(b"", field(1, 1) + field(3, field(1, 1)))]
    for name, value in sorted(tensors.items()):
        shape = b"".join(field(2, field(1, size)) for size in value.shape)
        raw = value.tobytes()
        body = field(1, types[value.dtype.name]) + field(2, shape)
        body += field(4, len(data)) if data else b""
        entries.append((name.encode(), body + field(5, len(raw)) + varint(6 << 3 | 5) + b"\0\0\0\0"))
        data += raw
    entries.append((b"text", field(1, 7) + field(4, 0) + field(5, 0)))

    half = len(entries) // 2
    table = Table()
    handles = [(part[-1][0] + b"~", table.put(part)) for part in (entries[:half], entries[half:])]
    file = table.finish(handles)
    (ROOT / "tf.data-00000-of-00001").write_bytes(data)
    write("tf.index", file, tensors)


def flax():
    def pack(value):
        return msgpack.ExtType(1, msgpack.packb((value.shape, value.dtype.name, value.tobytes("C")), use_bin_type=True))

    a, b, big = f32(3, 5), f32(4).astype(np.float16), f32(6, 4)
    chunks = {str(i): pack(big.ravel()[i * 10:(i + 1) * 10]) for i in range(3)}
    tree = {"params": {"Dense_0": {"kernel": pack(a), "bias": pack(b)},
                       "big": {"__msgpack_chunked_array__": True, "shape": {"0": 6, "1": 4}, "chunks": chunks}},
            "step": 12, "note": "left alone"}
    write("flax.msgpack", msgpack.packb(tree, use_bin_type=True),
          {"params.Dense_0.kernel": a, "params.Dense_0.bias": b, "params.big": big})


def mindspore():
    def value(tag, kind, array, dims):
        return field(1, field(1, tag.encode()) + field(2, b"".join(field(1, d) for d in dims) + field(2, kind) + field(3, array.tobytes())))

    a, b = f32(6, 4), f32(3).astype(np.float16)
    data = value("a.weight", b"Float32", a[:4], (6, 4)) + value("a.weight", b"Float32", a[4:], (6, 4))
    data += value("b", b"Float16", b, (3,)) + value("epoch", b"Int32", np.array(4, np.int32), (0,))
    write("mindspore.ckpt", data + b"crc_num" + b"0123456789", {"a.weight": a, "b": b, "epoch": np.array(4, np.int32)})


def paddle():
    tensors = {"linear.w_0": f32(200, 120), "linear.b_0": f32(3), "wide": np.asfortranarray(f32(150, 140))}
    for protocol in (2, 4):
        extra = {"StructuredToParameterName@@": {"linear.weight": "linear.w_0"}}
        kept = tensors if protocol == 4 else {k: np.ascontiguousarray(v) for k, v in tensors.items()}
        write(f"protocol{protocol}.pdparams", pickle.dumps({**kept, **extra}, protocol=protocol), kept)

    def lod(array, kind):
        description = field(1, kind) + b"".join(field(2, d) for d in array.shape)
        return struct.pack("<IQIi", 0, 0, 0, len(description)) + description + array.tobytes()

    a, b = f32(4, 5), f32(3)
    variables = [field(1, name) + field(2, b"") + field(3, kept) for name, kept in
                 [(b"feed", 1), (b"z.w_0", 1), (b"tmp", 0), (b"a.b_0", 1)]]
    (ROOT / "lod.pdmodel").write_bytes(field(1, field(1, 0) + b"".join(field(3, v) for v in variables)))
    write("lod.pdiparams", lod(b, 5) + lod(a, 5), {"a.b_0": b, "z.w_0": a})


def translate():
    class Layer(ctranslate2.specs.model_spec.LayerSpec):
        def __init__(self):
            self.weight = None
            self.bias = None

    class Model(ctranslate2.specs.model_spec.LanguageModelSpec):
        def __init__(self):
            super().__init__()
            self.linear = Layer()
            self.embeddings = Layer()

        @property
        def name(self):
            return "TestSpec"

        def get_vocabulary_size(self):
            return 3

    spec = Model()
    weight, table, bias = f32(6, 8), f32(3, 8), f32(6)
    spec.linear.weight, spec.linear.bias = weight, bias
    spec.embeddings.weight = table
    spec.embeddings.bias = ctranslate2.specs.model_spec.OPTIONAL
    spec.register_vocabulary(["a", "b", "c"])
    spec.validate()
    spec.optimize(quantization="int8")
    folder = ROOT / "ct2"
    folder.mkdir(exist_ok=True)
    spec.save(folder)
    (folder / "model.bin").rename(ROOT / "ctranslate2.bin")
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    variables = {name: value.numpy() for name, value in spec.variables(ordered=True)}
    tensors = {}
    for name, value in variables.items():
        if name + "_scale" in variables:
            value = value.astype(np.float32) / variables[name + "_scale"].reshape(-1, 1)
        if not name.endswith("_scale") and value.dtype.kind in "fi" and value.dtype != object:
            tensors[name] = value
    answer("ctranslate2.bin", tensors)


def llama2c():
    dim, hidden, layers, heads, kv, vocab, length = 8, 12, 2, 2, 1, 10, 6
    head = dim // heads
    header = (dim, hidden, layers, heads, kv, vocab, length)
    shapes = {"attention.wq": (dim, dim), "attention.wk": (kv * head, dim), "attention.wv": (kv * head, dim),
              "attention.wo": (dim, dim), "feed_forward.w1": (hidden, dim), "feed_forward.w2": (dim, hidden),
              "feed_forward.w3": (hidden, dim)}
    t = {"tok_embeddings.weight": f32(vocab, dim), "norm.weight": f32(dim), "output.weight": f32(vocab, dim)}
    for layer in range(layers):
        for name in ("attention_norm", "ffn_norm"):
            t[f"layers.{layer}.{name}.weight"] = f32(dim)
        for name, shape in shapes.items():
            t[f"layers.{layer}.{name}.weight"] = f32(*shape)

    def each(*names):
        return [f"layers.{layer}.{name}.weight" for name in names for layer in range(layers)]

    order = ["tok_embeddings.weight"] + each("attention_norm", *list(shapes)[:4], "ffn_norm", *list(shapes)[4:]) + ["norm.weight"]
    rotary = {"freqs_cos": f32(length, head // 2), "freqs_sin": f32(length, head // 2)}
    data = struct.pack("<7i", *header[:5], -vocab, length) + b"".join(t[n].tobytes() for n in order)
    data += b"".join(v.tobytes() for v in rotary.values()) + t["output.weight"].tobytes()
    write("llama2c-v0.bin", data, {**t, **rotary})
    norms = each("attention_norm") + each("ffn_norm") + ["norm.weight"]
    rest = ["tok_embeddings.weight"] + each(*shapes) + ["output.weight"]
    v1 = struct.pack("<Ii7iB", 0x616B3432, 1, *header, 0).ljust(256, b"\0")
    write("llama2c-v1.bin", v1 + b"".join(t[n].tobytes() for n in norms + rest), t)
    group, tensors = 4, {n: t[n] for n in norms}
    data = struct.pack("<Ii7iBi", 0x616B3432, 2, *header, 0, group).ljust(256, b"\0") + b"".join(t[n].tobytes() for n in norms)
    for name in rest:
        q = random.integers(-127, 128, t[name].size).astype(np.int8)
        scale = np.abs(f32(t[name].size // group))
        data += q.tobytes() + scale.tobytes()
        tensors[name] = (q.astype(np.float32) * scale.repeat(group)).reshape(t[name].shape)
    write("llama2c-v2.bin", data, tensors)


def ggml():
    def tensor(name, dims, kind, data, offset, alignment):
        head = struct.pack("<iii", len(dims), len(name), kind) + struct.pack(f"<{len(dims)}i", *reversed(dims)) + name
        return head + (b"\0" * (-(offset + len(head)) % alignment) if alignment else b"") + data

    def blocks(kind, rows, version):
        out, values = b"", []
        for _ in range(rows * 2):
            wide = version < 3 and kind != 6
            scale = np.float32(abs(random.standard_normal())) if wide else np.float16(abs(random.standard_normal()))
            minimum = np.float32(-0.5)
            if kind == 8:
                q = random.integers(-128, 128, 32).astype(np.int8)
                out += scale.tobytes() + q.tobytes()
                values.append(q.astype(np.float32) * np.float32(scale))
                continue
            q = random.integers(0, 32 if kind == 6 else 16, 32)
            low = q & 15
            pairs = (low[0::2] | low[1::2] << 4) if version < 2 else (low[:16] | low[16:] << 4)
            high = struct.pack("<I", int(sum(int(b) << i for i, b in enumerate(q >> 4)))) if kind == 6 else b""
            out += scale.tobytes() + (minimum.tobytes() if kind == 3 else b"") + high + pairs.astype(np.uint8).tobytes()
            if kind == 3:
                values.append(q.astype(np.float32) * np.float32(scale) + minimum)
            else:
                values.append((q - (16 if kind == 6 else 8)).astype(np.float32) * np.float32(scale))
        return out, np.concatenate(values).reshape(rows, 64)

    for name, mark, version, kinds in [("ggml.bin", 0x67676D6C, 0, (2, 3)), ("ggjt-v1.bin", 0x67676A74, 1, (2, 3, 6)),
                                       ("ggjt-v2.bin", 0x67676A74, 2, (2, 3, 6, 8))]:
        data = struct.pack("<I", mark) + (struct.pack("<I", version) if version else b"")
        data += struct.pack("<7i", 2, 64, 1, 1, 1, 64, 2)
        for token in (b"a", b"bc"):
            data += struct.pack("<I", len(token)) + token + (struct.pack("<f", 0.5) if version else b"")
        plain = f32(3, 64)
        tensors = {"plain": plain}
        data += tensor(b"plain", (3, 64), 0, plain.tobytes(), len(data), 32 if version else 0)
        for kind in kinds:
            packed, values = blocks(kind, 3, version)
            data += tensor(b"t%d" % kind, (3, 64), kind, packed, len(data), 32 if version else 0)
            tensors[f"t{kind}"] = values
        write(name, data, tensors)
    data = b"ggml" + struct.pack("<15i", 2, 1, *range(13)) + struct.pack("<i", 5) + b"proto"
    a, b = f32(4, 32), f32(7)
    for name, value in ((b"transformer.a.weight", a), (b"b", b)):
        data += struct.pack("<i", len(name)) + name + struct.pack(f"<i{value.ndim}ii", value.ndim, *value.shape, 0)
        data += b"\0" * (-len(data) % 16) + value.tobytes()
    write("chatglm.bin", data, {"transformer.a.weight": a, "b": b})


def words():
    vectors = gensim.models.KeyedVectors(vector_size=9)
    values = f32(5, 9)
    vectors.add_vectors(["the", "of", "naïve", "x", "zz"], values)
    for name, binary in (("word2vec.bin", True), ("word2vec.txt", False)):
        vectors.save_word2vec_format(ROOT / name, binary=binary)
        answer(name, {"vectors": gensim.models.KeyedVectors.load_word2vec_format(ROOT / name, binary=binary).vectors})
    lines = [f"{word} " + " ".join(repr(float(x)) for x in row) for word, row in zip(["the", "of", "at"], values)]
    write("glove.txt", ("\n".join(lines) + "\n").encode(), {"vectors": values[:3]})
    model = gensim.models.FastText(sentences=[["aa", "bb", "cc"]] * 5, vector_size=6, min_count=1, bucket=20, seed=1, workers=1)
    gensim.models.fasttext.save_facebook_model(model, str(ROOT / "fasttext.bin"))
    loaded = gensim.models._fasttext_bin.load(open(ROOT / "fasttext.bin", "rb"))
    answer("fasttext.bin", {"input": loaded.vectors_ngrams, "output": loaded.hidden_output})


def torch_files():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
            self.register_buffer("window", torch.arange(6.0))

        def forward(self, x):
            return self.encoder(x) + self.window[:2]

    script = torch.jit.script(Net())
    torch.jit.save(script, ROOT / "script.pt")
    answer("script.pt", {k: v.detach().numpy() for k, v in script.state_dict().items()})
    net = Net()
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(4)).sum().backward()
    optimizer.step()
    torch.save({"epoch": 3, "net": net.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "args": {"lr": 0.1}},
               ROOT / "training.pt")
    answer("training.pt", {k: v.detach().numpy() for k, v in net.state_dict().items()})

    value = f32(3, 4)

    class Reference:
        def __init__(self, key):
            self.key = key

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            return item.key if isinstance(item, Reference) else None

    def tarred():
        out = io.BytesIO()
        dump = lambda item: pickle.dumps(item, protocol=2)
        storage = dump(1) + dump((1, "cpu", torch.FloatStorage)) + struct.pack("<q", 12) + value.tobytes() + dump([])
        tensors = dump(2)
        for key, sizes, strides, offset in ((5, (3, 4), (4, 1), 0), (6, (4, 2), (1, 4), 4)):
            tensors += dump((key, 1, torch.FloatTensor)) + struct.pack("<ii", len(sizes), 0)
            tensors += struct.pack("<2q2qq", *sizes, *strides, offset)
        body = io.BytesIO()
        Pickler(body, protocol=2).dump({"a": Reference(5), "b": Reference(6)})
        with tarfile.open(fileobj=out, mode="w:", format=tarfile.USTAR_FORMAT) as file:
            for name, data in (("sys_info", dump({})), ("storages", storage), ("tensors", tensors), ("pickle", body.getvalue())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
        return out.getvalue()

    write("tar.pth", tarred(), {"a": value, "b": value[1:].T})


def meta_shards():
    folder = ROOT / "meta"
    folder.mkdir(exist_ok=True)
    dim, heads, hidden, vocab = 8, 2, 12, 10
    full = {"tok_embeddings.weight": f32(vocab, dim), "norm.weight": f32(dim), "output.weight": f32(vocab, dim),
            "layers.0.attention.wq.weight": f32(dim, dim), "layers.0.attention.wo.weight": f32(dim, dim),
            "layers.0.feed_forward.w2.weight": f32(dim, hidden), "layers.0.attention_norm.weight": f32(dim)}
    axis = {"tok_embeddings": 1, "wo": 1, "w2": 1, "output": 0, "wq": 0}
    for shard in range(2):
        part = {}
        for name, value in full.items():
            cut = next((a for key, a in axis.items() if key in name), None)
            part[name] = torch.tensor(value if cut is None else np.ascontiguousarray(np.split(value, 2, cut)[shard]))
        torch.save(part, folder / f"consolidated.{shard:02}.pth")
    (folder / "params.json").write_text(json.dumps({"dim": dim, "n_layers": 1, "n_heads": heads, "norm_eps": 1e-5, "vocab_size": -1}))
    q = full["layers.0.attention.wq.weight"].reshape(heads, dim // heads // 2, 2, dim).transpose(0, 2, 1, 3).reshape(dim, dim)
    names = {"tok_embeddings.weight": "model.embed_tokens.weight", "norm.weight": "model.norm.weight", "output.weight": "lm_head.weight",
             "layers.0.attention.wo.weight": "model.layers.0.self_attn.o_proj.weight",
             "layers.0.feed_forward.w2.weight": "model.layers.0.mlp.down_proj.weight",
             "layers.0.attention_norm.weight": "model.layers.0.input_layernorm.weight"}
    answer("meta", {**{names[k]: v for k, v in full.items() if k in names}, "model.layers.0.self_attn.q_proj.weight": q})


def compressed():
    arrays = {"a": f32(50, 20), "b": np.arange(7)}
    out = io.BytesIO()
    np.savez(out, **arrays)
    half = len(out.getvalue()) // 2
    frames = [zstandard.compress(out.getvalue()[:half]), zstandard.compress(out.getvalue()[half:])]
    write("arrays.npz.zst", b"".join(frames), arrays)


ROOT.mkdir(exist_ok=True)
for make in (hdf5, onnx_files, tensorflow, flax, mindspore, paddle, translate, llama2c, ggml, words, torch_files, meta_shards,
             compressed):
    make()
